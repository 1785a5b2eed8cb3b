/**
 * Kinds of strikes on calls to a server. `…-before`: nothing was done; `…-after`: it was done, but the client
 * hears that it was not, or nothing.
 */
export const s3CallFaultNames = [
  "throttle-before",
  "throttle-after",
  "error-before",
  "error-after",
  "time-out-after",
  "reset-before",
  "reset-after",
  "late-put",
] as const;

export const kinesisCallFaultNames = [
  "throttle-before",
  "error-before",
  "error-after",
  "time-out-after",
  "reset-before",
  "reset-after",
  "late-put",
  "fail-entries",
  "throttle-entries",
  "misreport-entries",
  "expire-iterator",
] as const;

export type S3CallFaultName = (typeof s3CallFaultNames)[number];
export type KinesisCallFaultName = (typeof kinesisCallFaultNames)[number];
export type CallFaultName = S3CallFaultName | KinesisCallFaultName;

export const callFaultNames: readonly CallFaultName[] = [
  ...new Set([...s3CallFaultNames, ...kinesisCallFaultNames]),
];
