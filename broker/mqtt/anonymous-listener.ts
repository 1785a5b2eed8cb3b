import { BrokerError } from "../errors.ts";

/** Throws ANONYMOUS_NOT_LOOPBACK: any process that can reach the port could publish as any device. */
export function checkAnonymousListener(host: string, anonymous: boolean): void {
  if (!anonymous || isLoopback(host)) return;
  throw new BrokerError(
    "ANONYMOUS_NOT_LOOPBACK",
    `MQTT on ${host} would let any client connect without a key: set mqtt.anonymous = false and give devices keys with \`tidegate devices add\`, or listen on 127.0.0.1`,
    { retryable: false, details: { host } },
  );
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^(::ffff:)?127(\.\d{1,3}){3}$/.test(host);
}
