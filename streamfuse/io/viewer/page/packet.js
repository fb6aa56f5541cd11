// One binary message of the socket: u32 length of the header, header (JSON), then the JPEGs back to back.

const text = new TextDecoder();

/** @returns {{header: object, jpegs: Map<string, Blob>}} the header and the picture of each layer */
export function readPacket(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(text.decode(new Uint8Array(buffer, 4, length)));
  const jpegs = new Map();
  let start = 4 + length;
  for (const { name, nbytes } of header.layers) {
    jpegs.set(name, new Blob([new Uint8Array(buffer, start, nbytes)], { type: "image/jpeg" }));
    start += nbytes;
  }
  return { header, jpegs };
}

/** Decode all layers: the frame that the painter takes. Its bitmaps are given back by `release`. */
export async function decode({ header, jpegs }) {
  const bitmaps = new Map();
  await Promise.all([...jpegs].map(async ([name, jpeg]) => bitmaps.set(name, await createImageBitmap(jpeg))));
  const [width, height] = header.size;
  return { number: header.frame, width, height, record: header.record, status: header.status, bitmaps };
}

/** Give the memory of a frame's pictures back at once; the collector would wait too long. */
export function release(frame) {
  for (const bitmap of frame?.bitmaps.values() ?? []) bitmap.close();
}
