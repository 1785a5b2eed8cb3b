import { type HttpFault, late, resetAfter, resetBefore, timeOutAfterSuccess } from "./servers/http-fault.ts";
import type { InjectOptions } from "./servers/http-fault-proxy.ts";
import {
  expiredIterator,
  internalFailureAfter,
  internalFailureBefore,
  throttled,
} from "./servers/kinesis-faults.ts";
import { byChance, failEntries, misreportEntries } from "./servers/put-records-faults.ts";
import {
  internalErrorAfter,
  internalErrorBefore,
  slowDownAfter,
  slowDownBefore,
} from "./servers/s3-faults.ts";

/** What calls meet while such a strike lasts. */
export interface CallFault {
  readonly fault: HttpFault;
  readonly options: InjectOptions;
}

/** After the client has tried again, or died. */
const lateMs = 1_500;
/** Of the calls: most pass in the end, so that work goes on while the strike lasts. */
const chance = 0.4;
const entry = byChance(0.3);

/** `…-before`: nothing was done; `…-after`: it was done, but the client hears that it was not, or nothing. */
export const s3CallFaults = {
  "throttle-before": { fault: slowDownBefore(), options: { chance } },
  "throttle-after": { fault: slowDownAfter(), options: { chance } },
  "error-before": { fault: internalErrorBefore(), options: { chance } },
  "error-after": { fault: internalErrorAfter(), options: { chance } },
  "time-out-after": { fault: timeOutAfterSuccess(), options: { chance } },
  "reset-before": { fault: resetBefore(), options: { chance } },
  "reset-after": { fault: resetAfter(), options: { chance } },
  "late-put": { fault: late(lateMs), options: { chance, on: ["PutObject"] } },
} as const satisfies Readonly<Record<string, CallFault>>;

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
} as const satisfies Readonly<Record<string, CallFault>>;

export type CallFaultName = keyof typeof s3CallFaults | keyof typeof kinesisCallFaults;

export const callFaultNames: readonly CallFaultName[] = [
  ...new Set([...Object.keys(s3CallFaults), ...Object.keys(kinesisCallFaults)] as CallFaultName[]),
];
