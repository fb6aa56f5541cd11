// One picture that can be zoomed, moved and clicked. Pixel centres lie at integers.

const MAX_SCALE = 40;
const CLICK_PX = 4;
const COLOURS = ["#4aa8ff", "#ff8a47", "#3fc078", "#e8b03c", "#d87bff", "#5fd7d7", "#ff6b61"];

export class Pane {
  /** `clicked(point)` gets a place in the picture. */
  constructor(canvas, clicked) {
    this.canvas = canvas;
    this.clicked = clicked;
    this.image = this.overlay = null;
    this.points = [];
    this.scale = this.left = this.top = 0;
    canvas.addEventListener("wheel", (event) => this.#zoom(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.#press(event));
    new ResizeObserver(() => this.#fit()).observe(canvas);
  }

  setImage(image) {
    this.image = image;
    this.#fit();
  }

  /** The whole picture, as large as it goes. */
  #fit() {
    const { canvas, image } = this;
    canvas.width = Math.round(canvas.clientWidth * devicePixelRatio);
    canvas.height = Math.round(canvas.clientHeight * devicePixelRatio);
    if (!image) return;
    this.scale = Math.min(canvas.clientWidth / image.width, canvas.clientHeight / image.height);
    this.left = (canvas.clientWidth - image.width * this.scale) / 2;
    this.top = (canvas.clientHeight - image.height * this.scale) / 2;
    this.draw();
  }

  #zoom(event) {
    event.preventDefault();
    const wanted = this.scale * Math.exp(-event.deltaY / 400);
    const least = Math.min(this.canvas.clientWidth / this.image.width, this.canvas.clientHeight / this.image.height);
    const scale = Math.min(Math.max(wanted, least), MAX_SCALE);
    this.left = event.offsetX - (event.offsetX - this.left) * scale / this.scale;
    this.top = event.offsetY - (event.offsetY - this.top) * scale / this.scale;
    this.scale = scale;
    this.draw();
  }

  /** A press that goes nowhere is a click, any other moves the picture. */
  #press(down) {
    if (down.button !== 0 || !this.image) return;
    const { canvas, left, top } = this;
    let moved = false;
    const move = (event) => {
      const across = event.clientX - down.clientX, along = event.clientY - down.clientY;
      moved ||= Math.hypot(across, along) > CLICK_PX;
      if (!moved) return;
      this.left = left + across;
      this.top = top + along;
      this.draw();
    };
    const up = () => {
      canvas.removeEventListener("pointermove", move);
      if (!moved) this.#click(down);
    };
    canvas.setPointerCapture(down.pointerId);
    canvas.addEventListener("pointermove", move);
    canvas.addEventListener("pointerup", up, { once: true });
  }

  #click({ offsetX, offsetY }) {
    const x = (offsetX - this.left) / this.scale - 0.5, y = (offsetY - this.top) / this.scale - 0.5;
    const inside = x > -0.5 && y > -0.5 && x < this.image.width - 0.5 && y < this.image.height - 0.5;
    if (inside) this.clicked([x, y]);
  }

  draw() {
    const paint = this.canvas.getContext("2d");
    paint.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    paint.clearRect(0, 0, this.canvas.clientWidth, this.canvas.clientHeight);
    if (!this.image) return;
    paint.imageSmoothingEnabled = this.scale < 3;
    const { width, height } = this.image;
    paint.drawImage(this.overlay ?? this.image, this.left, this.top, width * this.scale, height * this.scale);
    this.points.forEach((point, number) => this.#mark(paint, point, number));
  }

  #mark(paint, [x, y], number) {
    const across = this.left + (x + 0.5) * this.scale, down = this.top + (y + 0.5) * this.scale;
    const cross = () => {
      paint.beginPath();
      for (const [a, b] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        paint.moveTo(across + 3 * a, down + 3 * b);
        paint.lineTo(across + 11 * a, down + 11 * b);
      }
      paint.stroke();
    };
    paint.strokeStyle = "#000";
    paint.lineWidth = 4;
    cross();
    paint.strokeStyle = COLOURS[number % COLOURS.length];
    paint.lineWidth = 2;
    cross();
    paint.font = "600 13px system-ui, sans-serif";
    paint.lineWidth = 3;
    paint.strokeStyle = "#000";
    paint.strokeText(number + 1, across + 8, down - 8);
    paint.fillStyle = COLOURS[number % COLOURS.length];
    paint.fillText(number + 1, across + 8, down - 8);
  }
}
