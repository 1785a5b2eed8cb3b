import { createHash } from "node:crypto";
import type { StreamDescriptionSummary } from "@aws-sdk/client-kinesis";
import { BridgeError } from "../../errors.ts";
import type { KinesisTarget } from "./kinesis-url.ts";

const hourMs = 3_600_000;

/** The parts of Kinesis' description of a stream that Tidegate uses. */
export interface StreamDescription {
  /** Constant for the life of the stream. Another stream of the same name has another id. */
  readonly streamId: string;
  readonly status: "CREATING" | "DELETING" | "ACTIVE" | "UPDATING";
  readonly mode: "PROVISIONED" | "ON_DEMAND";
  readonly retentionMs: number;
  readonly encryption: "NONE" | "KMS";
  readonly isSpreadAutomatically: boolean;
}

/** @throws BridgeError KINESIS_UNAVAILABLE if the answer is incomplete. */
export function descriptionOf(summary: StreamDescriptionSummary): StreamDescription {
  const { StreamARN, StreamCreationTimestamp, StreamStatus, RetentionPeriodHours } = summary;
  const createdAtMs = StreamCreationTimestamp?.getTime() ?? Number.NaN;
  if (!StreamARN || !StreamStatus || !Number.isFinite(createdAtMs) || !(Number(RetentionPeriodHours) > 0)) {
    const text = "kinesis:DescribeStreamSummary: the answer is incomplete";
    throw new BridgeError("KINESIS_UNAVAILABLE", text, { retryable: true });
  }
  return {
    streamId: createHash("sha256").update(`${StreamARN} ${createdAtMs}`).digest("hex").slice(0, 32),
    status: StreamStatus,
    mode: summary.StreamModeDetails?.StreamMode ?? "PROVISIONED",
    retentionMs: Number(RetentionPeriodHours) * hourMs,
    encryption: summary.EncryptionType ?? "NONE",
    isSpreadAutomatically: summary.RecordDistributionStrategy === "AUTO",
  };
}

/** Why the stream can't be used; null = it can. The error is retryable while the stream is being created. */
export function faultOf(description: StreamDescription, target: KinesisTarget): BridgeError | null {
  const { streamName, region } = target;
  if (description.status === "CREATING")
    return new BridgeError("STREAM_MISSING", `the stream ${streamName} in ${region} is still being created`, {
      retryable: true,
    });
  if (description.status === "DELETING")
    return new BridgeError(
      "STREAM_MISSING",
      `the stream ${streamName} in ${region} is being deleted: unfiled messages will be lost with it. Name another stream in the URL`,
      { retryable: false },
    );
  if (!description.isSpreadAutomatically) return null;
  const text = `the stream ${streamName} in ${region} has the record distribution strategy AUTO, which ignores hash keys: messages of one device would be spread over shards and lose their order. Set it to USER_PARTITION_KEY (UpdateStreamRecordDistributionStrategy)`;
  return new BridgeError("KINESIS_UNSUPPORTED", text, { retryable: false });
}

/** Warnings about a usable stream, for the operator. */
export function warningsOf(
  { retentionMs }: StreamDescription,
  { streamName }: KinesisTarget,
  retentionMinHours: number,
): string[] {
  if (retentionMs >= retentionMinHours * hourMs) return [];
  return [
    `the stream ${streamName} keeps records for ${retentionMs / hourMs} h, kinesis.retentionMinHours asks for ${retentionMinHours} h: messages that are not filed by then are lost. Raise the retention (IncreaseStreamRetentionPeriod)`,
  ];
}
