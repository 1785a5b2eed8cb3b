import { CodedError } from "../devices/protocol/coded-error.ts";

/** Every code that this folder raises, with what it means. */
export const brokerErrorCodes = [
  /** Anonymous clients were asked for on a listener that is not loopback. */
  "ANONYMOUS_NOT_LOOPBACK",
  /** The MQTT address can't be listened on. */
  "MQTT_ADDRESS_UNUSABLE",
  /** Aedes is not the version whose internals the acknowledgement path was built for. */
  "AEDES_UNSUPPORTED",
] as const;

export type BrokerErrorCode = (typeof brokerErrorCodes)[number];

export class BrokerError extends CodedError<BrokerErrorCode> {}
