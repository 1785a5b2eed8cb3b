import { parseSubscriptionFilter } from "../../devices/protocol/topic-filter.ts";
import type { MqttPacket } from "./aedes/aedes-client.ts";

/**
 * Why a connected client's packet is malformed although the parser accepted it; null = it is well-formed.
 *
 * The parser reads a missing field from the bytes after the packet, and leaves bytes after the last field
 * unread. Both show in `parsedBytes`, compared with the declared `packet.length`.
 */
export function packetFault(packet: MqttPacket, parsedBytes: number): string | null {
  const declaredBytes = packet.length ?? 0;
  switch (packet.cmd) {
    case "publish":
      if (parsedBytes > declaredBytes) return "shorter than its fields";
      return publishFault(packet);
    case "pingreq":
    case "disconnect":
      return parsedBytes === declaredBytes ? null : "it has a body";
    case "subscribe":
      return wholeFault(packet, parsedBytes) ?? filtersFault(packet.subscriptions.map(({ topic }) => topic));
    case "unsubscribe":
      return wholeFault(packet, parsedBytes) ?? filtersFault(packet.unsubscriptions);
    case "puback":
    case "pubrec":
    case "pubrel":
    case "pubcomp":
      return wholeFault(packet, parsedBytes);
    default:
      return "clients do not send it here";
  }
}

function publishFault(packet: { qos: number; dup: boolean; messageId?: number }): string | null {
  // [MQTT-3.3.1-2]
  if (packet.qos === 0) return packet.dup ? "DUP with QoS 0" : null;
  return identifierFault(packet.messageId);
}

/** [MQTT-2.3.1-1] */
function identifierFault(messageId: number | undefined): string | null {
  return messageId !== undefined && messageId > 0 ? null : "no packet identifier, or 0";
}

function wholeFault(packet: { length?: number; messageId: number }, parsedBytes: number): string | null {
  if (parsedBytes !== packet.length) return "its length is not that of its fields";
  return identifierFault(packet.messageId);
}

/** [MQTT-3.8.3-3] [MQTT-3.10.3-2] One filter at least, and each of them well-formed. */
function filtersFault(filters: readonly string[]): string | null {
  if (filters.length === 0) return "no topic filter";
  for (const filter of filters) {
    // U+FFFD: broken UTF-8 [MQTT-1.5.3-1] on arrival.
    if (filter.includes("\ufffd")) return "a topic filter that is not UTF-8";
    try {
      parseSubscriptionFilter(filter);
    } catch {
      return "a malformed topic filter";
    }
  }
  return null;
}
