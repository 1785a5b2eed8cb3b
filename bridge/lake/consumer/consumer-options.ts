import type { Registry } from "prom-client";
import type { PartitionLeases } from "../../leases/partition-leases.ts";
import type { Sleep } from "./back-off.ts";
import type { ConsumerConfig } from "./consumer-config.ts";
import type { ConsumerPorts } from "./consumer-ports.ts";
import type { AttemptStore } from "./guard/poison-guard.ts";
import type { LookUpLimits } from "./ids/look-up-budget.ts";
import type { Repeat } from "./retention-alarm.ts";

export interface ConsumerOptions extends ConsumerPorts {
  readonly config: ConsumerConfig;
  readonly registry: Registry;
  /** Default: a timer. */
  readonly sleep?: Sleep;
  /** For the retention alarm. Default: a timer. */
  readonly repeat?: Repeat;
  /** Bounds reads of the lake for messages whose id only the exact mode still knows. */
  readonly lookUpLimits?: LookUpLimits;
  /** Called at each step of the loop: at least every few seconds, unless a call of a port takes longer. */
  readonly onStep?: () => void;
  /**
   * Where to keep the attempt that survives the process's death. Without it, a batch that kills the process
   * kills it again and again.
   */
  readonly attempts?: AttemptStore;
  /** Which partitions to read; the consumer closes them at its end. Default: all partitions. */
  readonly leases?: PartitionLeases;
}
