import type { JudgedMessage } from "./judge-message.ts";
import { contentFault, failedToJudge } from "./quarantine-reason.ts";
import { runWithin } from "./run-within.ts";
import type { TopicVersion } from "./topic-catalog.ts";
import type { TopicSchema } from "./topic-schema.ts";

/** Messages are checked together for so long: then the one at which it stopped has a turn alone. */
const TOGETHER_MS = 500;
/** CPU time that the check of one message may take. A payload of 128 KiB takes a few ms. */
const ALONE_MAX_MS = 250;
/** The same in a topic that has had many slow ones. */
const ALONE_MIN_MS = 20;
/** For how long a topic's messages are checked alone after a slow one. */
const SUSPECT_MS = 60_000;
/** A machine that is busy or asleep takes the time, and not the message: then it is tried again, for twice as long. */
const ATTEMPTS = 4;

interface Suspicion {
  boundMs: number;
  sinceMs: number;
}

export interface SchemaChecksOptions {
  readonly elapsedMs: () => number;
  /** CPU time of this process, ms. */
  readonly cpuMs: () => number;
  /** Told of faults of ours, that cost one message each. */
  readonly unexpected: (error: unknown, topic: TopicVersion) => void;
}

export function processCpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/**
 * Checks messages against their schemas. Neither schema nor payload can make it hang: patterns that backtrack and branches that multiply
 * with each level are cut off, and cost their message. Each slow one halves what its topic's next ones may take, for a minute.
 */
export class SchemaChecks {
  readonly #options: SchemaChecksOptions;
  readonly #suspicions = new WeakMap<TopicSchema, Suspicion>();

  constructor(options: SchemaChecksOptions) {
    this.#options = options;
  }

  /** Afterwards no check is open: values and faults of the messages are what they stay. */
  settle(messages: readonly JudgedMessage[]): void {
    const open = messages.filter(({ check }) => check !== null);
    let next = 0;
    while (next < open.length) {
      const message = open[next] as JudgedMessage;
      if (this.#isAlone(message)) {
        this.#settleAlone(message);
        next += 1;
        continue;
      }
      const isDone = runWithin(TOGETHER_MS, () => {
        for (; next < open.length && !this.#isAlone(open[next] as JudgedMessage); next++)
          this.#settleOne(open[next] as JudgedMessage);
      });
      // It may just have been the last of very many.
      if (isDone) continue;
      open[next]?.check?.schema.reset();
      if (next < open.length) this.#settleAlone(open[next++] as JudgedMessage);
    }
  }

  #settleOne(message: JudgedMessage): void {
    const { check, topic } = message;
    if (check === null) return;
    try {
      const read = check.schema.read(check.document);
      if ("reason" in read) message.fault = read;
      else message.values = read;
    } catch (error) {
      this.#options.unexpected(error, topic);
      message.fault = failedToJudge(error);
    }
    message.check = null;
  }

  #settleAlone(message: JudgedMessage): void {
    const { check } = message;
    if (check === null) return;
    const { schema, document } = check;
    const { cpuMs } = this.#options;
    const boundMs = this.#boundOf(schema);
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      schema.prepare(document);
      const beganMs = cpuMs();
      if (runWithin(boundMs * 2 ** attempt, () => this.#settleOne(message))) return;
      schema.reset();
      if (cpuMs() - beganMs >= boundMs * 0.9) break;
    }
    this.#suspect(schema, boundMs);
    const why = `its check took more than ${boundMs} ms: the topic's schema has a pattern that backtracks, or branches that multiply with each level of the document`;
    message.fault = contentFault("schema-too-slow", why);
    message.check = null;
  }

  #isAlone({ check }: JudgedMessage): boolean {
    return check !== null && (!check.schema.isLinear || this.#suspicionOf(check.schema) !== undefined);
  }

  #boundOf(schema: TopicSchema): number {
    return this.#suspicionOf(schema)?.boundMs ?? ALONE_MAX_MS;
  }

  #suspect(schema: TopicSchema, boundMs: number): void {
    const sinceMs = this.#options.elapsedMs();
    this.#suspicions.set(schema, { boundMs: Math.max(ALONE_MIN_MS, Math.floor(boundMs / 2)), sinceMs });
  }

  #suspicionOf(schema: TopicSchema): Suspicion | undefined {
    const suspicion = this.#suspicions.get(schema);
    if (!suspicion || this.#options.elapsedMs() - suspicion.sinceMs < SUSPECT_MS) return suspicion;
    this.#suspicions.delete(schema);
    return undefined;
  }
}
