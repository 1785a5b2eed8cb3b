import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type Content, unreadContent } from "../../bridge/decoders/content.ts";
import type { Decoder } from "../../bridge/decoders/decoder.ts";
import { decoderOf } from "../../bridge/decoders/decoders.ts";
import { isInstantMs } from "../../bridge/decoders/instant.ts";
import { planOf } from "../../bridge/tail/topic-plan.ts";
import type { TopicVersion } from "../../bridge/topics/topic-catalog.ts";
import { messageIdMaxBytes } from "../../devices/protocol/message-id.ts";

/** A decoder under test, with a message of its format. */
export interface DecoderUnderTest {
  readonly format: string;
  /** The payload of a message, such as a device sends. */
  encode(message: { readonly id: string; readonly eventTimeMs: number; readonly value: number }): Uint8Array;
}

const schema = { type: "object", properties: { value: { type: "number" } } };
const payloadMaxBytes = 786_432;

/** Every decoder must pass these tests. */
export function decoderContract({ format, encode }: DecoderUnderTest): void {
  const decoder = decoderOf({ format });
  const topics = [topicOf(decoder, false), ...(decoder.whyNoSchema === null ? [topicOf(decoder, true)] : [])];
  const read = (payload: Uint8Array) =>
    topics.map((topic) => {
      const before = Buffer.from(payload);
      const content = unreadContent(payload);
      content.fault = decoder.read(content, planOf(topic));
      assert.ok(before.equals(payload), "the payload was changed");
      assertSound(decoder, content);
      return content;
    });
  const message = { id: "m-1", eventTimeMs: 1_700_000_000_123, value: 21.5 };

  describe(`the decoder of ${format}`, () => {
    test("a message is decoded as it was sent", () => {
      for (const { fault, messageId, eventTime } of read(encode(message))) {
        assert.equal(fault, null);
        if (decoder.hasIds) assert.equal(Buffer.from(messageId ?? []).toString(), message.id);
        if (decoder.hasEventTimes) assert.deepEqual(eventTime, { ms: message.eventTimeMs, micros: 0 });
      }
    });

    test("with a schema, a message gets a document with the values", { skip: topics.length < 2 }, () => {
      const [, content] = read(encode(message));
      const document = content?.document?.value as { value?: number } | undefined;
      assert.equal(document?.value, message.value);
    });

    test("any bytes are content or a fault, and equal bytes have equal content", () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 300 }), (payload) => {
          assert.deepEqual(factsOf(read(Uint8Array.from(payload))), factsOf(read(payload)));
        }),
      );
    });

    test("a message that was cut or changed is content or a fault", () => {
      const whole = encode(message);
      for (let length = 0; length < whole.length; length++) read(whole.subarray(0, length));
      const at = fc.nat(whole.length - 1);
      fc.assert(
        fc.property(at, fc.nat(255), (index, byte) => {
          const changed = Uint8Array.from(whole);
          changed[index] = byte;
          read(changed);
        }),
      );
    });

    test("the largest payload of one repeated byte is content or a fault", () => {
      for (const character of '[{",0a \n\\\u0001')
        read(new Uint8Array(payloadMaxBytes).fill(character.charCodeAt(0)));
    });
  });
}

function topicOf(decoder: Decoder, hasSchema: boolean): TopicVersion {
  return {
    topicId: "t",
    version: 1,
    name: "t",
    format: decoder.name,
    idPath: decoder.usesPaths ? "id" : "",
    timePath: decoder.usesPaths ? "ts" : "",
    schema: hasSchema ? schema : null,
    columns: hasSchema ? [{ name: "value", type: "double" }] : [],
    dedupeWindowMs: 3_600_000,
  };
}

function assertSound({ hasIds, hasEventTimes }: Decoder, { fault, messageId, eventTime }: Content): void {
  if (messageId) assert.ok(messageId.length > 0 && messageId.length <= messageIdMaxBytes);
  if (eventTime) assert.ok(isInstantMs(eventTime.ms) && eventTime.micros >= 0 && eventTime.micros < 1_000);
  if (fault) {
    assert.notEqual(fault.detail, "");
    return;
  }
  assert.equal(messageId !== null, hasIds);
  assert.equal(eventTime !== null, hasEventTimes);
}

/** Content without its lazy parts. */
function factsOf(contents: readonly Content[]): unknown {
  return contents.map(({ document, ...content }) => ({ ...content, document: document?.value }));
}
