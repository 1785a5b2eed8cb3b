import type { BrokerConfig } from "./config.ts";
import type { LiveSubscribers } from "./live-subscribers.ts";
import type { BrokerMetrics } from "./metrics.ts";
import type { PacedCloses } from "./paced-closes.ts";
import type { PublishSink } from "./publish-sink.ts";
import type { RefusalLog } from "./refusal-log.ts";
import type { Session } from "./session.ts";

/** What all connections of a broker share. */
export interface SessionContext {
  readonly config: BrokerConfig;
  readonly sink: PublishSink;
  readonly metrics: BrokerMetrics;
  readonly refusals: RefusalLog;
  readonly live: LiveSubscribers;
  readonly pacedCloses: PacedCloses;
  readonly now: () => number;
  /** Sessions with messages in flight. */
  readonly sessions: Set<Session>;
  /** Sessions that are not read now. */
  readonly paused: Set<Session>;
  /** Has `flush` and `resumeIfRoom` called once in this turn of the event loop. */
  flushSoon(session: Session): void;
}
