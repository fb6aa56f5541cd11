// The socket with the pictures. It opens itself again for ever, and asks for one picture at a time:
// a page that is slow, paused or hidden asks for nothing, and so costs the server nothing.

import { decode, readPacket, release } from "./packet.js";

const FIRST_RETRY_MS = 300;
const LAST_RETRY_MS = 4000;
const SILENCE_MS = 6000; // the server speaks once a second; a link that died silently is left

/**
 * Events: `frame` (detail: a decoded frame), `news` (detail: the health message), `link` (detail:
 * "connecting", "open", "lost" or "login"), `server` (another server, or the same one started again).
 */
export class Live extends EventTarget {
  #socket = null;
  #want = { layers: ["fused"], fps: 30 };
  #retryMs = FIRST_RETRY_MS;
  #timer = 0;
  #silence = 0;
  #server = null;

  start() {
    addEventListener("online", () => this.#hurry());
    document.addEventListener("visibilitychange", () => document.hidden || this.#hurry());
    this.#open();
  }

  /** Ask for these layers from the next picture on. */
  want(layers) {
    this.#want = { ...this.#want, layers };
    this.#send({ want: this.#want });
  }

  /** Frame `number` is on the screen: the next one may come. */
  ready(number) {
    this.#send({ ready: number });
  }

  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #tell(kind, detail) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }

  #open() {
    clearTimeout(this.#timer);
    this.#tell("link", "connecting");
    const address = new URL("live", document.baseURI);
    address.protocol = address.protocol.replace("http", "ws");
    const socket = new WebSocket(address);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.#retryMs = FIRST_RETRY_MS;
      this.#tell("link", "open");
      this.#send({ want: this.#want });
    };
    socket.onmessage = ({ data }) => {
      this.#heard(socket);
      if (typeof data === "string") this.#tell("news", JSON.parse(data));
      else this.#take(socket, data);
    };
    socket.onclose = () => this.#lost(socket);
    this.#heard(socket);
  }

  async #take(socket, data) {
    const packet = readPacket(data);
    try {
      const frame = await decode(packet);
      if (socket !== this.#socket) return release(frame);
      if (packet.header.viewer !== this.#server) {
        this.#server = packet.header.viewer;
        this.#tell("server");
      }
      this.#tell("frame", frame);
    } catch {
      this.ready(packet.header.frame); // a picture that cannot be decoded is skipped, not waited for
    }
  }

  #heard(socket) {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#lost(socket), SILENCE_MS);
  }

  async #lost(socket) {
    if (socket !== this.#socket) return;
    clearTimeout(this.#silence);
    this.#socket = null;
    socket.close();
    if (await refused()) return this.#tell("link", "login");
    this.#tell("link", "lost");
    this.#timer = setTimeout(() => this.#open(), this.#retryMs * (0.8 + 0.4 * Math.random()));
    this.#retryMs = Math.min(LAST_RETRY_MS, this.#retryMs * 1.7);
  }

  #hurry() {
    if (this.#socket === null) this.#open();
  }
}

/** Whether the server is there and wants the token first. */
async function refused() {
  try {
    const answer = await fetch("status.json", { signal: AbortSignal.timeout(3000) });
    return answer.status === 401 || answer.status === 403;
  } catch {
    return false;
  }
}
