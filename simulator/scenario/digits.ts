// Numbers of a fixed width, written into bytes in place: no strings on the hot path.

const zero = 0x30;
const base36 = Uint8Array.from(Buffer.from("0123456789abcdefghijklmnopqrstuvwxyz"));

/** `value` in decimal, with leading zeros, so that it ends before `end`. `value` is below 2^53. */
export function writeDecimal(target: Uint8Array, end: number, width: number, value: number): void {
  let rest = value;
  let at = end;
  const start = end - width;
  while (rest > 0x7fffffff && at > start) {
    const quotient = Math.floor(rest / 10);
    target[--at] = zero + (rest - quotient * 10);
    rest = quotient;
  }
  rest |= 0;
  while (at > start) {
    const quotient = (rest / 10) | 0;
    target[--at] = zero + (rest - quotient * 10);
    rest = quotient;
  }
}

/** `value` (31 bits) in base 36, with leading zeros, so that it ends before `end`. */
export function writeBase36(target: Uint8Array, end: number, width: number, value: number): void {
  let rest = value | 0;
  for (let at = end - 1; at >= end - width; at--) {
    const quotient = (rest / 36) | 0;
    target[at] = base36[rest - quotient * 36] as number;
    rest = quotient;
  }
}

/** The number that `writeBase36` wrote, or −1 if another byte is there. */
export function readBase36(bytes: Uint8Array, start: number, width: number): number {
  let value = 0;
  for (let at = start; at < start + width; at++) {
    const byte = bytes[at] ?? 0;
    if (byte >= 0x30 && byte <= 0x39) value = value * 36 + byte - 0x30;
    else if (byte >= 0x61 && byte <= 0x7a) value = value * 36 + byte - 0x57;
    else return -1;
  }
  return value;
}

/** Characters that every number below `count` fits into. */
export function base36Width(count: number): number {
  return Math.max(1, (count - 1).toString(36).length);
}

export function decimalWidth(count: number): number {
  return Math.max(1, (count - 1).toString(10).length);
}
