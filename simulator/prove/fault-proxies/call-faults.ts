import type { KinesisCallFaultName, S3CallFaultName } from "../call-fault-names.ts";
import { type HttpFault, late, resetAfter, resetBefore, timeOutAfterSuccess } from "./http-fault.ts";
import type { InjectOptions } from "./http-fault-proxy.ts";
import { expiredIterator, internalFailureAfter, internalFailureBefore, throttled } from "./kinesis-faults.ts";
import { byChance, failEntries, misreportEntries } from "./put-records-faults.ts";
import { internalErrorAfter, internalErrorBefore, slowDownAfter, slowDownBefore } from "./s3-faults.ts";

/** What happens to calls while such a strike lasts. */
export interface CallFault {
  readonly fault: HttpFault;
  readonly options: InjectOptions;
}

/** After the client has tried again, or died. */
const lateMs = 1_500;
/** Share of the calls. Most calls pass in the end, so that work continues while the strike lasts. */
const chance = 0.4;
const entry = byChance(0.3);

export const s3CallFaults = {
  "throttle-before": { fault: slowDownBefore(), options: { chance } },
  "throttle-after": { fault: slowDownAfter(), options: { chance } },
  "error-before": { fault: internalErrorBefore(), options: { chance } },
  "error-after": { fault: internalErrorAfter(), options: { chance } },
  "time-out-after": { fault: timeOutAfterSuccess(), options: { chance } },
  "reset-before": { fault: resetBefore(), options: { chance } },
  "reset-after": { fault: resetAfter(), options: { chance } },
  "late-put": { fault: late(lateMs), options: { chance, on: ["PutObject"] } },
} satisfies Readonly<Record<S3CallFaultName, CallFault>>;

export const kinesisCallFaults = {
  "throttle-before": { fault: throttled(), options: { chance } },
  "error-before": { fault: internalFailureBefore(), options: { chance } },
  "error-after": { fault: internalFailureAfter(), options: { chance } },
  "time-out-after": { fault: timeOutAfterSuccess(), options: { chance, on: ["PutRecords"] } },
  "reset-before": { fault: resetBefore(), options: { chance } },
  "reset-after": { fault: resetAfter(), options: { chance } },
  "late-put": { fault: late(lateMs), options: { chance, on: ["PutRecords"] } },
  "fail-entries": { fault: failEntries(entry, "InternalFailure"), options: { on: ["PutRecords"] } },
  "throttle-entries": {
    fault: failEntries(entry, "ProvisionedThroughputExceededException"),
    options: { on: ["PutRecords"] },
  },
  "misreport-entries": {
    fault: misreportEntries(entry, "InternalFailure"),
    options: { on: ["PutRecords"] },
  },
  "expire-iterator": { fault: expiredIterator(), options: { chance, on: ["GetRecords"] } },
} satisfies Readonly<Record<KinesisCallFaultName, CallFault>>;
