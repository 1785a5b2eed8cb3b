import { contentFault, failedToJudge } from "../decoders/quarantine-reason.ts";
import { runWithin } from "../schemas/run-within.ts";
import type { TopicSchema } from "../schemas/topic-schema.ts";
import type { TopicVersion } from "../topics/topic-catalog.ts";
import type { JudgedMessage } from "./judge-message.ts";

/** Time for checking messages together. After it, the message at which the check stopped is checked alone. */
const togetherMs = 500;
/** Most CPU time for the check of one message. A payload of 128 KiB takes a few ms. */
const aloneMaxMs = 250;
/** The same limit in a topic with many slow messages. */
const aloneMinMs = 20;
/** Time for which a topic's messages are checked alone after a slow one. */
const suspectMs = 60_000;
/**
 * On a busy or sleeping machine, wall clock time passes without CPU time. The check is then retried with
 * twice the time.
 */
const attempts = 4;

interface Suspicion {
  boundMs: number;
  sinceMs: number;
}

export interface SchemaChecksOptions {
  readonly elapsedMs: () => number;
  /** CPU time of this process, ms. */
  readonly cpuMs: () => number;
  /** Called for each message that a fault of Tidegate sends to quarantine. */
  readonly unexpected: (error: unknown, topic: TopicVersion) => void;
}

export function processCpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/**
 * Checks messages against their schemas, in bounded time for any schema and payload. Patterns that backtrack
 * and branches that multiply with each level are interrupted; their message is quarantined. Each slow message
 * halves the time for its topic's next messages, for a minute.
 */
export class SchemaChecks {
  readonly #options: SchemaChecksOptions;
  readonly #suspicions = new WeakMap<TopicSchema, Suspicion>();

  constructor(options: SchemaChecksOptions) {
    this.#options = options;
  }

  /** Makes all checks that are open. Afterwards values and faults of the messages are final. */
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
      const isDone = runWithin(togetherMs, () => {
        for (; next < open.length && !this.#isAlone(open[next] as JudgedMessage); next++)
          this.#settleOne(open[next] as JudgedMessage);
      });
      // The time may have run out just after the last message, so `next` may be at the end.
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
    for (let attempt = 0; attempt < attempts; attempt++) {
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
    return this.#suspicionOf(schema)?.boundMs ?? aloneMaxMs;
  }

  #suspect(schema: TopicSchema, boundMs: number): void {
    const sinceMs = this.#options.elapsedMs();
    this.#suspicions.set(schema, { boundMs: Math.max(aloneMinMs, Math.floor(boundMs / 2)), sinceMs });
  }

  #suspicionOf(schema: TopicSchema): Suspicion | undefined {
    const suspicion = this.#suspicions.get(schema);
    if (!suspicion || this.#options.elapsedMs() - suspicion.sinceMs < suspectMs) return suspicion;
    this.#suspicions.delete(schema);
    return undefined;
  }
}
