import fc from "fast-check";
import { uint16 } from "../../../simulator/prove/hostile/mqtt-bytes.ts";

/** Packets of hostile clients, built by hand, because MQTT libraries would not send them. */

export interface HostilePacket {
  /** Before CONNECT, or after CONNACK. */
  readonly isFirst: boolean;
  readonly bytes: Buffer;
  /** Bytes of one write; 0 = all in one. */
  readonly pieceBytes: number;
}

/** [MQTT-2.2.3] Remaining length; `bytes` makes it longer than it needs to be. */
function remainingLength(length: number, bytes = 1): Buffer {
  const encoded: number[] = [];
  let rest = length;
  do {
    encoded.push(rest % 128);
    rest = Math.floor(rest / 128);
  } while (rest > 0 || encoded.length < bytes);
  return Buffer.from(encoded.map((value, index) => (index < encoded.length - 1 ? value | 0x80 : value)));
}

interface Framing {
  readonly flags: number | null;
  readonly added: number;
  readonly lengthBytes: number;
}

const soundFraming: Framing = { flags: null, added: 0, lengthBytes: 1 };
/** Mostly right. */
const framing: fc.Arbitrary<Framing> = fc.oneof(
  { weight: 14, arbitrary: fc.constant(soundFraming) },
  {
    weight: 1,
    arbitrary: fc.record({
      flags: fc.option(fc.integer({ min: 0, max: 15 })),
      added: fc.constantFrom(0, 0, 0, -1, 1, 5, 70_000, 268_435_000),
      lengthBytes: fc.constantFrom(1, 1, 2, 4, 5),
    }),
  },
);

function framed(first: number, body: Buffer, { flags, added, lengthBytes }: Framing): Buffer {
  const fixed = flags === null ? first : (first & 0xf0) | flags;
  return Buffer.concat([
    Buffer.from([fixed]),
    remainingLength(Math.max(0, body.length + added), lengthBytes),
    body,
  ]);
}

const badTexts: readonly Buffer[] = [
  [0xff],
  [0xc0, 0x80],
  [0xed, 0xa0, 0x80],
  [0xe2, 0x82],
  [0xf4, 0x90, 0x80, 0x80],
  [0x61, 0, 0x62],
  [0xef, 0xbb, 0xbf],
  [0xef, 0xbf, 0xbf],
  [0x01, 0x7f],
].map((values) => Buffer.from(values));
const soundTopics = [
  "fleet/x/telemetry",
  "fleet/y/envelope",
  "hostile_raw/z",
  "fleet/#",
  "fleet/+/telemetry",
  "cmd/a",
];
const badTopics = [
  ...[
    "",
    "/",
    "//",
    "#",
    "+",
    "a/#/b",
    "a+",
    "#/a",
    "fleet/+/telemetry",
    "fleet/x/telemetry",
    "$SYS/x",
    "$share/g/a",
  ],
  ...[
    "fleet//telemetry",
    "fleet/ /telemetry",
    "fleet/.../telemetry",
    "fleet/__proto__/telemetry",
    "fleet/%00/telemetry",
  ],
  ...[
    "fleet/😀/telemetry",
    `fleet/${"d".repeat(1_000)}/telemetry`,
    `fleet/${"d".repeat(60_000)}/telemetry`,
    "a/".repeat(3_000),
  ],
];

/** Text after its length, which may be wrong [MQTT-1.5.3]. */
const text = fc
  .tuple(
    fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom(...soundTopics).map((topic) => Buffer.from(topic)) },
      { weight: 3, arbitrary: fc.constantFrom(...badTopics).map((topic) => Buffer.from(topic)) },
      { weight: 1, arbitrary: fc.constantFrom(...badTexts) },
      {
        weight: 1,
        arbitrary: fc
          .constantFrom(...badTexts)
          .map((bad) => Buffer.concat([Buffer.from("fleet/"), bad, Buffer.from("/telemetry")])),
      },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes)) },
    ),
    fc.integer({ min: 0, max: 29 }).map((draw) => [-1, 1, 300, 65_000][draw] ?? 0),
  )
  .map(([content, added]) =>
    Buffer.concat([
      uint16(Math.min(65_535, Math.max(0, content.length + added))),
      content.subarray(0, 65_535),
    ]),
  );

const packetId = fc.constantFrom(0, 1, 1, 2, 2, 2, 65_535, 65_535).map(uint16);
const anyByte = fc.integer({ min: 0, max: 255 });

const clientId = Buffer.from([0, 3, 0x66, 0x6f, 0x6f]);

const connect = fc
  .record({
    name: fc.constantFrom(
      "MQTT",
      "MQTT",
      "MQTT",
      "MQTT",
      "MQTT",
      "MQTT",
      "MQIsdp",
      "mqtt",
      "",
      "X".repeat(300),
    ),
    level: fc.constantFrom(4, 4, 4, 4, 4, 4, 3, 5, 6, 0, 0x84, 255),
    flags: fc.oneof(fc.constantFrom(0, 2, 2, 4, 6, 0x0e, 0x26, 0x82, 0xc2, 0xc6), anyByte),
    keepAlive: fc.constantFrom(0, 1, 60, 65_535),
    // With a flag more or less, there are too many or too few fields.
    fields: fc.array(text, { maxLength: 5 }),
    isFitting: fc.boolean(),
    framing,
  })
  .map(({ name, level, flags, keepAlive, fields: drawn, isFitting, framing }) => {
    const needed = 1 + ((flags & 4) !== 0 ? 2 : 0) + (flags >> 7) + ((flags >> 6) & 1);
    const fields = isFitting ? Array.from({ length: needed }, (_, index) => drawn[index] ?? clientId) : drawn;
    const head = [uint16(name.length), Buffer.from(name), Buffer.from([level, flags]), uint16(keepAlive)];
    return framed(0x10, Buffer.concat([...head, ...fields]), framing);
  });

const publish = fc
  .record({
    flags: fc.integer({ min: 0, max: 15 }),
    topic: text,
    id: packetId,
    payload: fc.uint8Array({ maxLength: 100 }),
    framing,
  })
  .map(({ flags, topic, id, payload, framing }) =>
    framed(0x30 | flags, Buffer.concat([topic, ...((flags & 6) === 0 ? [] : [id]), payload]), framing),
  );

/** SUBSCRIBE and UNSUBSCRIBE: none to thousands of filters, short, long, deep, wrong. */
const filters = fc.oneof(
  { weight: 5, arbitrary: fc.array(text, { maxLength: 6 }) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constantFrom(100, 3_000), fc.constantFrom("f/", "f/+/", "#/", "+/".repeat(20)))
      .map(([count, prefix]) =>
        Array.from({ length: count }, (_, index) => {
          const content = Buffer.from(prefix + index);
          return Buffer.concat([uint16(content.length), content]);
        }),
      ),
  },
);

const subscribe = fc
  .record({ id: packetId, filters, qos: fc.constantFrom(0, 1, 2, 0, 1, 2, 0, 1, 2, 3, 0x80, 255), framing })
  .map(({ id, filters, qos, framing }) =>
    framed(0x82, Buffer.concat([id, ...filters.flatMap((filter) => [filter, Buffer.from([qos])])]), framing),
  );

const unsubscribe = fc
  .record({ id: packetId, filters, framing })
  .map(({ id, filters, framing }) => framed(0xa2, Buffer.concat([id, ...filters]), framing));

/** Acknowledgements of nothing, answers that only servers send, pings with a body. */
const other = fc
  .tuple(anyByte, fc.uint8Array({ maxLength: 6 }), framing)
  .map(([first, body, framing]) => framed(first, Buffer.from(body), framing));

/** Acknowledgements of messages that were never sent. */
const acknowledgement = fc
  .tuple(fc.constantFrom(0x40, 0x50, 0x62, 0x70), packetId)
  .map(([first, id]) => framed(first, id, soundFraming));

const garbage = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  fc.constantFrom(
    Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc]),
    Buffer.from([0x10, 0xff, 0xff, 0xff, 0xff, 0xff]),
    Buffer.alloc(20_000),
    Buffer.alloc(20_000, 0xff),
    Buffer.alloc(20_000, 0xc0),
    Buffer.from([0x32, 0xff, 0xff, 0xff, 0x7f, 0, 4]),
  ),
);

const later = fc.oneof(
  { weight: 3, arbitrary: publish },
  { weight: 3, arbitrary: subscribe },
  { weight: 2, arbitrary: unsubscribe },
  { weight: 1, arbitrary: other },
  { weight: 1, arbitrary: acknowledgement },
  { weight: 1, arbitrary: fc.oneof(connect, garbage) },
);

export function hostilePacket(): fc.Arbitrary<HostilePacket> {
  const pieceBytes = fc.constantFrom(0, 0, 0, 0, 0, 0, 1, 7, 1_000);
  const first = fc.oneof(
    { weight: 4, arbitrary: connect },
    { weight: 1, arbitrary: later },
    { weight: 1, arbitrary: garbage },
  );
  return fc.oneof(
    {
      weight: 1,
      arbitrary: fc
        .tuple(first, pieceBytes)
        .map(([bytes, piece]) => ({ isFirst: true, bytes, pieceBytes: piece })),
    },
    {
      weight: 2,
      arbitrary: fc
        .tuple(fc.array(later, { minLength: 1, maxLength: 4 }), pieceBytes)
        .map(([packets, piece]) => ({ isFirst: false, bytes: Buffer.concat(packets), pieceBytes: piece })),
    },
  );
}
