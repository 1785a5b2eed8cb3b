import type { Row } from "../../tail/row.ts";

/** Estimated bytes of a row's fixed columns, uncompressed. */
const rowOverheadBytes = 48;

/** Estimated uncompressed bytes of a row. */
export function rowBytes({ payload, messageId, deviceId, topicName }: Row): number {
  return rowOverheadBytes + payload.length + (messageId?.length ?? 0) + deviceId.length + topicName.length;
}
