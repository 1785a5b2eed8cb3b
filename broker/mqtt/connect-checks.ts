import type { RefusalFields } from "../ingest/index.ts";
import type { ConnectPacket } from "./aedes/aedes-client.ts";
import type { MqttRefusalCode } from "./mqtt-refusals.ts";

export interface ConnectFault {
  readonly code: MqttRefusalCode;
  /** CONNACK to write before the connection is closed; null = none [MQTT-3.1.4-1]. */
  readonly connack: Buffer | null;
  /** The part that is larger than allowed. */
  readonly fields?: RefusalFields;
}

/** [MQTT-3.2.2] CONNACK of MQTT 3.1.1 with a return code. */
const connack = (returnCode: number) => Buffer.from([0x20, 2, 0, returnCode]);
/** MQTT 5 §3.2: CONNACK with reason code 0x84 Unsupported Protocol Version and no properties. */
const connackVersion5 = Buffer.from([0x20, 3, 0, 0x84, 0]);
const identifierRejected = 2;
const serverUnavailable = 3;

/** The answer while no new client is admitted: come back later. */
export const noRoom: ConnectFault = { code: "no-room", connack: connack(serverUnavailable) };

// Control characters [MQTT-1.5.3], and U+FFFD, which replaces broken UTF-8.
const unfit = /[\p{Cc}\p{Surrogate}\ufffd]/u;

/** The fault of a CONNECT by itself; null = none. */
export function connectFault(
  packet: ConnectPacket,
  limits: { clientIdMaxBytes: number },
): ConnectFault | null {
  const { clientId, protocolVersion, username, password, will } = packet;
  if (protocolVersion === 5)
    return { code: "protocol-version", connack: connackVersion5, fields: { limit: 4, actual: 5 } };
  if (protocolVersion !== 3 && protocolVersion !== 4)
    return {
      code: "protocol-version",
      connack: connack(1),
      fields: { limit: 4, actual: protocolVersion },
    };
  // [MQTT-3.1.2-1] each version has its name; [MQTT-3.1.2-22] no password without a user name.
  const isMisnamed = packet.protocolId !== (protocolVersion === 3 ? "MQIsdp" : "MQTT");
  if (isMisnamed || (password !== undefined && username === undefined))
    return { code: "malformed", connack: null };
  // [MQTT-3.1.3-8] an empty client id needs a clean session.
  const isMissing = clientId === "" && !packet.clean;
  const bytes = Buffer.byteLength(clientId);
  if (isMissing || unfit.test(clientId) || bytes > limits.clientIdMaxBytes)
    return {
      code: "client-id-invalid",
      connack: connack(identifierRejected),
      fields: { limit: limits.clientIdMaxBytes, actual: bytes },
    };
  if (username !== undefined && unfit.test(username)) return { code: "malformed", connack: null };
  // [MQTT-3.1.2-14] a will's QoS is not 3.
  if (will && (will.qos > 2 || unfit.test(will.topic) || /[+#]/.test(will.topic) || will.topic === ""))
    return { code: "malformed", connack: null };
  return null;
}
