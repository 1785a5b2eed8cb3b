import { CodedError } from "../devices/protocol/coded-error.ts";
import type { ErrorEntry } from "../devices/protocol/error-entry.ts";

/** Every code that this folder raises. */
export const brokerErrors = {
  ANONYMOUS_NOT_LOOPBACK: {
    meaning:
      "The settings would let clients without a key connect on an address that other machines can reach.",
    retry: "no",
    remedy:
      "Set `mqtt.anonymous = false` and give devices keys with `tidegate devices add`, or listen on 127.0.0.1.",
  },
  MQTT_ADDRESS_UNUSABLE: {
    meaning: "The broker can't listen on the MQTT address.",
    retry: "no",
    remedy: "Stop the program that listens there, or choose another address with `--mqtt HOST:PORT`.",
  },
  AEDES_UNSUPPORTED: {
    meaning: "The installed Aedes is not the version that the acknowledgement path needs.",
    retry: "no",
    remedy: "Install the pinned dependencies with `npm ci`.",
  },
} as const satisfies Record<string, ErrorEntry>;

export type BrokerErrorCode = keyof typeof brokerErrors;

export class BrokerError extends CodedError<BrokerErrorCode> {}
