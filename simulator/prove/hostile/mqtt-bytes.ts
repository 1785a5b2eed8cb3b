// MQTT 3.1.1 packets byte by byte: no client would make the ones that a proof sends.

export const packetTypes = { connack: 2, puback: 4, suback: 9 } as const;

type Part = number | Uint8Array | string;

/** One after another; a number is one byte. */
export function bytes(...parts: readonly Part[]): Buffer {
  return Buffer.concat(
    parts.map((part) => (typeof part === "number" ? Buffer.from([part]) : Buffer.from(part))),
  );
}

export function uint16(value: number): Buffer {
  return bytes(value >> 8, value & 0xff);
}

/** With its length in front. */
export function text(value: Uint8Array | string): Buffer {
  const content = Buffer.from(value);
  return bytes(uint16(content.length), content);
}

/** @param first Type and flags. */
export function packet(first: number, ...body: readonly Part[]): Buffer {
  const content = bytes(...body);
  return bytes(first, packetLength(content.length), content);
}

export function packetLength(length: number): Buffer {
  const digits: number[] = [];
  for (let rest = length; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...digits, rest]);
    digits.push((rest % 128) | 0x80);
  }
}

export interface ConnectFields {
  readonly name?: string;
  readonly level?: number;
  readonly flags?: number;
  readonly clientId?: Uint8Array | string;
  /** Behind the client id. */
  readonly rest?: Uint8Array;
}

const keepAliveS = 60;
const cleanSession = 2;

export function connect(fields: ConnectFields): Buffer {
  const { name = "MQTT", level = 4, flags = cleanSession, clientId = "hostile", rest = bytes() } = fields;
  return packet(0x10, text(name), level, flags, uint16(keepAliveS), text(clientId), rest);
}

export function connectAs(userName: string, password: string, clientId: string): Buffer {
  return connect({ flags: 0xc2, clientId, rest: bytes(text(userName), text(password)) });
}

/** With QoS 1. */
export function publish(
  topic: Uint8Array | string,
  payload: Uint8Array,
  { packetId, isAgain = false }: { readonly packetId: number; readonly isAgain?: boolean },
): Buffer {
  return packet(isAgain ? 0x3a : 0x32, text(topic), uint16(packetId), payload);
}

export function subscribe(filters: readonly (Uint8Array | string)[], packetId = 1): Buffer {
  return packet(0x82, uint16(packetId), ...filters.map((filter) => bytes(text(filter), 0)));
}

export function unsubscribe(filters: readonly (Uint8Array | string)[], packetId = 1): Buffer {
  return packet(0xa2, uint16(packetId), ...filters.map(text));
}
