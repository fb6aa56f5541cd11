// Grey infrared in false colours.

/** Paints infrared pictures; keeps the last one, so that a picture is painted once. */
export class Painted {
  #tables = new Map();
  #canvas = document.createElement("canvas");
  #context = this.#canvas.getContext("2d", { willReadFrequently: true });
  #done = "";

  /** Take the palettes of the server: {name: [[r, g, b] × 256]}. */
  learn(palettes) {
    for (const [name, colors] of Object.entries(palettes)) {
      const table = new Uint32Array(256);
      const bytes = new Uint8ClampedArray(table.buffer);
      colors.forEach((color, level) => bytes.set([...color, 255], 4 * level));
      this.#tables.set(name, table);
    }
  }

  /** Names of the palettes, in the server's order. */
  get names() {
    return [...this.#tables.keys()];
  }

  /** Colours of a palette as a CSS gradient, cold to hot. */
  gradient(name) {
    const table = this.#tables.get(name);
    if (table === undefined) return "none";
    const bytes = new Uint8Array(table.buffer);
    const stops = Array.from({ length: 17 }, (_, stop) => {
      const at = 4 * Math.min(255, stop * 16);
      return `rgb(${bytes[at]} ${bytes[at + 1]} ${bytes[at + 2]})`;
    });
    return `linear-gradient(90deg, ${stops.join(", ")})`;
  }

  /** The infrared picture of a frame in a palette: something that can be drawn. */
  paint(frame, name) {
    const picture = frame.bitmaps.get("infrared");
    const table = this.#tables.get(name);
    if (picture === undefined || table === undefined || name === "white-hot") return picture;
    const wanted = `${frame.number} ${name}`;
    if (this.#done !== wanted) {
      this.#color(picture, table);
      this.#done = wanted;
    }
    return this.#canvas;
  }

  /** Forget the last one: numbers of frames begin again with another server. */
  forget() {
    this.#done = "";
  }

  #color(picture, table) {
    const { width, height } = picture;
    if (this.#canvas.width !== width || this.#canvas.height !== height) {
      Object.assign(this.#canvas, { width, height });
    }
    this.#context.drawImage(picture, 0, 0);
    const image = this.#context.getImageData(0, 0, width, height);
    const pixels = new Uint32Array(image.data.buffer);
    for (let at = 0; at < pixels.length; at++) pixels[at] = table[(pixels[at] >> 8) & 0xff]; // green of grey
    this.#context.putImageData(image, 0, 0);
  }
}
