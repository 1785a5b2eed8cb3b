import { ProtocolError } from "./protocol-error.ts";

/** Longest message id that the gateway accepts, from the SDK or from any other client. */
export const messageIdMaxBytes = 64;

/** Bytes of an id chosen by the SDK: epoch (8), then sequence (8, big-endian). */
export const sdkMessageIdBytes = 16;

export const epochBytes = 8;

/**
 * The SDK sends no message whose sequence is this much or more above that of its oldest unacknowledged one.
 * So after sequence s of an epoch, all messages up to s − sequenceSpan are known to be acknowledged: any
 * later copy is a resend. 32 bytes of bits.
 */
export const sequenceSpan = 256;

/** The parts of an id that the SDK made. Other code must treat an id as opaque. */
export interface SdkMessageId {
  /** 8 random bytes, drawn when the outbox was created or reset. */
  readonly epoch: Uint8Array;
  /** Never repeats within the epoch; 0 to 2^53 − 1. */
  readonly sequence: number;
}

export function encodeMessageId(id: SdkMessageId): Uint8Array {
  if (id.epoch.length !== epochBytes)
    throw invalidId(`an epoch has ${epochBytes} bytes, not ${id.epoch.length}`);
  if (!Number.isSafeInteger(id.sequence) || id.sequence < 0)
    throw invalidId(`a sequence is a whole number from 0 to 2^53 - 1, not ${id.sequence}`);
  const bytes = new Uint8Array(sdkMessageIdBytes);
  bytes.set(id.epoch);
  const view = new DataView(bytes.buffer);
  view.setUint32(epochBytes, Math.floor(id.sequence / 2 ** 32));
  view.setUint32(epochBytes + 4, id.sequence % 2 ** 32);
  return bytes;
}

/** Throws MESSAGE_ID_INVALID for bytes that `encodeMessageId` cannot have made. The epoch is a copy. */
export function decodeMessageId(bytes: Uint8Array): SdkMessageId {
  if (bytes.length !== sdkMessageIdBytes)
    throw invalidId(`an id of the SDK has ${sdkMessageIdBytes} bytes, not ${bytes.length}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const sequence = view.getUint32(epochBytes) * 2 ** 32 + view.getUint32(epochBytes + 4);
  if (!Number.isSafeInteger(sequence)) throw invalidId("the sequence is above 2^53 - 1");
  return { epoch: bytes.slice(0, epochBytes), sequence };
}

function invalidId(text: string): ProtocolError {
  return new ProtocolError("MESSAGE_ID_INVALID", text, { retryable: false });
}
