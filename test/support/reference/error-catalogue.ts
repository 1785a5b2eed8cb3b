import { consumerErrors } from "../../../bridge/errors/consumer-errors.ts";
import { kinesisErrors } from "../../../bridge/errors/kinesis-errors.ts";
import { lakeErrors } from "../../../bridge/errors/lake-errors.ts";
import { redisErrors } from "../../../bridge/errors/redis-errors.ts";
import { s3Errors } from "../../../bridge/errors/s3-errors.ts";
import { streamErrors } from "../../../bridge/errors/stream-errors.ts";
import { brokerErrors } from "../../../broker/errors.ts";
import { deviceErrors } from "../../../devices/errors.ts";
import type { ErrorEntry } from "../../../devices/protocol/error-entry.ts";
import { protocolErrors } from "../../../devices/protocol/protocol-error.ts";
import { registryErrors } from "../../../gateway/errors/registry-errors.ts";
import { toolErrors } from "../../../gateway/errors/tool-errors.ts";
import { gatewayErrors } from "../../../gateway/errors.ts";
import { simulatorErrors } from "../../../simulator/errors.ts";

export interface ErrorGroup {
  readonly title: string;
  readonly entries: Readonly<Record<string, ErrorEntry>>;
}

const ofGroups: Readonly<Record<string, ErrorEntry>> = { ...registryErrors, ...toolErrors };
const gatewayOnly = Object.fromEntries(
  Object.entries<ErrorEntry>(gatewayErrors).filter(([code]) => !(code in ofGroups)),
);

/** All error codes of the product, in the order of the page. */
export const errorGroups: readonly ErrorGroup[] = [
  { title: "Gateway, commands and HTTP API", entries: gatewayOnly },
  { title: "Topics, devices and their registry", entries: registryErrors },
  { title: "Broker", entries: brokerErrors },
  { title: "Stream and producer", entries: streamErrors },
  { title: "Consumer", entries: consumerErrors },
  { title: "Lake, tables and queries", entries: lakeErrors },
  { title: "Redis", entries: redisErrors },
  { title: "Kinesis", entries: kinesisErrors },
  { title: "S3", entries: s3Errors },
  { title: "SDK", entries: deviceErrors },
  { title: "Topic filters, envelopes and message ids", entries: protocolErrors },
  { title: "migrate", entries: toolErrors },
  { title: "simulate, audit and prove", entries: simulatorErrors },
];
