import { CodedError } from "./protocol/coded-error.ts";
import type { ErrorEntry } from "./protocol/error-entry.ts";

/** Every code that this folder raises. */
export const deviceErrors = {
  OPTIONS_INVALID: {
    meaning: "An option of the client, or a second handler for the same filter, is not accepted.",
    retry: "no",
    remedy: "Correct the options. `details.faults` lists every fault.",
  },
  MESSAGE_INVALID: {
    meaning: "The topic name, payload or event time of the message is not valid. The message was not stored.",
    retry: "no",
    remedy: "Correct the message. One message may take an eighth of the outbox at most.",
  },
  OUTBOX_OPEN_FAILED: {
    meaning: "The outbox folder can't be used, or a newer version of the SDK wrote it.",
    retry: "no",
    remedy: "Give the process a folder that it may write, or update the SDK.",
  },
  OUTBOX_LOCKED: {
    meaning: "Another process has the outbox open.",
    retry: "yes",
    remedy: "Give each process a folder of its own, or end the other process first.",
  },
  OUTBOX_FULL: {
    meaning: "The outbox holds as many bytes as `outbox.maxBytes` allows. The message was not stored.",
    retry: "yes",
    remedy:
      'Publish again when the outbox has drained. Raise `maxBytes`, or choose `whenFull: "drop-oldest"`, if that is too late.',
  },
  OUTBOX_BUSY: {
    meaning: "Too many publishes wait for the disk. The message was not stored.",
    retry: "yes",
    remedy: "Await earlier publishes before the next one.",
  },
  OUTBOX_WRITE_FAILED: {
    meaning:
      "The disk is full, and the message was not stored. As a warning: a refused message can't be moved to the rejected store.",
    retry: "yes",
    remedy: "Free disk space, then publish the message again.",
  },
  OUTBOX_FAILED: {
    meaning: "The disk failed while the outbox was written or read. The client accepts no more messages.",
    retry: "no",
    remedy: "Check the disk, then open the client again: it sends the messages in the outbox.",
  },
  MESSAGE_DROPPED: {
    meaning: "The outbox was full and gave up its oldest messages for newer ones (`drop-oldest`).",
    retry: "no",
    remedy: "Raise `outbox.maxBytes` to cover the longest time offline. The dropped messages are lost.",
  },
  MESSAGE_REJECTED: {
    meaning: "The gateway closed the connection on this message five times. It is in the rejected store.",
    retry: "no",
    remedy:
      "Find the reason in the gateway's log (`broker.refused`) and remove it. Then publish the message again from the rejected store.",
  },
  MESSAGE_DAMAGED: {
    meaning: "The outbox file was damaged before the message was acknowledged. The message is lost.",
    retry: "no",
    remedy: "Check the device's disk. Publish the message again if its source still has it.",
  },
  CLIENT_CLOSED: {
    meaning: "The client was closed. The messages in its outbox are sent after the next open.",
    retry: "no",
    remedy: "Open a new client on the same outbox.",
  },
  CONNECT_REFUSED: {
    meaning:
      "The gateway refused the connection with the return code in `details.returnCode`. The client retries.",
    retry: "yes",
    remedy:
      "Code 5: check user name and key. Code 2: check the client id. Code 3: the gateway is busy or full; wait.",
  },
  CONNECTION_LOST: {
    meaning: "The connection ended or could not be made. The client connects again and resends.",
    retry: "yes",
    remedy: "Nothing, if the connection comes back. Otherwise check address, network and gateway.",
  },
  ACK_TIMEOUT: {
    meaning: "No acknowledgement came for `ackTimeoutMs`. The client connects again and resends.",
    retry: "yes",
    remedy:
      "Nothing, if this passes. Otherwise look at `/readyz` of the gateway: its stream may be full or unreachable.",
  },
  SUBSCRIBE_REFUSED: {
    meaning: "The gateway refused the subscription, or `unsubscribe` ended it before an answer.",
    retry: "no",
    remedy: "Check that the identity may subscribe to the filter, and the limits in the gateway's settings.",
  },
  HANDLER_FAILED: {
    meaning: "The handler of a subscription threw an error. The client continues.",
    retry: "no",
    remedy: "Fix the handler. `cause` is the error that it threw.",
  },
} as const satisfies Record<string, ErrorEntry>;

export type DeviceErrorCode = keyof typeof deviceErrors;

export const deviceErrorCodes = Object.keys(deviceErrors) as readonly DeviceErrorCode[];

export class DeviceError extends CodedError<DeviceErrorCode> {}
