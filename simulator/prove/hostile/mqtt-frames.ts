/**
 * Type, flags and remaining length of each whole packet [MQTT-2.2], and the number of bytes after them that
 * begin another one.
 */
export interface Frames {
  readonly packets: readonly { readonly first: number; readonly body: Buffer }[];
  readonly restBytes: number;
}

export function framesOf(bytes: Buffer): Frames {
  const packets: { first: number; body: Buffer }[] = [];
  let at = 0;
  for (;;) {
    let length = 0;
    let next = at + 1;
    let isWhole = false;
    for (let place = 0; place < 4 && next < bytes.length && !isWhole; place++, next++) {
      const byte = bytes[next] ?? 0;
      length += (byte & 0x7f) * 128 ** place;
      isWhole = byte < 0x80;
    }
    if (!isWhole || next + length > bytes.length) return { packets, restBytes: bytes.length - at };
    packets.push({ first: bytes[at] ?? 0, body: bytes.subarray(next, next + length) });
    at = next + length;
  }
}

export const packetType = (first: number): number => first >> 4;
