export {
  DeviceClient,
  type DeviceClientEvents,
  type DeviceClientStatus,
  type PublishReceipt,
} from "./device-client.ts";
export type { DeviceClientOptions } from "./device-options.ts";
export { DeviceError, type DeviceErrorCode, deviceErrorCodes, deviceErrors } from "./errors.ts";
export type { Payload, PublishOptions } from "./message-format.ts";
export type { TlsOptions } from "./mqtt-connection.ts";
export type { WhenFull } from "./outbox/outbox.ts";
export type { RejectedMessage } from "./outbox/rejected-store.ts";
export type { ErrorEntry } from "./protocol/error-entry.ts";
export { ProtocolError, type ProtocolErrorCode } from "./protocol/protocol-error.ts";
export type { Command, CommandHandler } from "./subscriptions.ts";
