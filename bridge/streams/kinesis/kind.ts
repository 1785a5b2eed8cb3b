import { type KindTarget, readOrMend } from "../../kind-descriptor.ts";
import type { StreamDescriptor } from "../stream-descriptor.ts";
import { kinesisConfigSchema } from "./kinesis-config.ts";
import type { KinesisStreamStatus } from "./kinesis-stream-status.ts";
import { type KinesisTarget, kinesisTargetOf } from "./kinesis-url.ts";

export type { KinesisStreamStatus };

export interface InKinesis extends KindTarget {
  readonly kind: "kinesis";
  readonly kinesis: KinesisTarget;
}

export const kinesisDescriptor: StreamDescriptor<InKinesis, KinesisStreamStatus> = {
  name: "kinesis",
  label: "Kinesis",
  schemes: ["kinesis:"],
  urlForm: "kinesis://REGION/STREAM",
  sections: { kinesis: kinesisConfigSchema },
  readUrl: (url) => readOrMend((): InKinesis => ({ kind: "kinesis", kinesis: kinesisTargetOf(url) })),
  placeOf: ({ kinesis: { region, streamName, endpoint = "" } }) =>
    `kinesis ${region}/${streamName} ${endpoint}`,
  condition: ({ held }) => ({ held, holdsReading: true, isAnswering: true }),
  summary,
};

const hourMs = 3_600_000;

function summary(status: KinesisStreamStatus, url: string): string[] {
  const { mode, openShards, retentionMs, behindMs, encryption, warnings, held } = status;
  const kind = mode === "ON_DEMAND" ? "on demand" : "provisioned";
  const lines = [
    `Stream: ${url}, ${kind}, ${openShards} open shards, kept for ${retentionMs / hourMs} h, encryption ${encryption}; ${Math.round(behindMs / 1000)} s behind`,
  ];
  lines.push(...warnings.map((warning) => `  ! ${warning}`));
  if (held) lines.push(`  ! Messages wait unacknowledged: ${held.message}`);
  return lines;
}
