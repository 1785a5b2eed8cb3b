import { encodeEnvelope } from "../../devices/protocol/telemetry-envelope.ts";
import { decoderContract } from "./decoder-contract.ts";

decoderContract({
  format: "json",
  encode: ({ id, eventTimeMs, value }) => Buffer.from(JSON.stringify({ id, ts: eventTimeMs, value })),
});

decoderContract({
  format: "envelope",
  encode: ({ id, eventTimeMs, value }) =>
    encodeEnvelope({
      messageId: Buffer.from(id),
      eventTimeMs,
      contentType: "application/json",
      payload: Buffer.from(JSON.stringify({ value })),
    }),
});

decoderContract({ format: "raw", encode: ({ value }) => Buffer.from([value]) });
