import type { BlockMessage } from "../../bridge/block/block-format.ts";
import { type JudgedMessage, MessageJudge, type Place } from "../../bridge/tail/judge-message.ts";
import { processCpuMs, SchemaChecks } from "../../bridge/tail/schema-checks.ts";
import type { TopicVersion } from "../../bridge/topics/topic-catalog.ts";

/**
 * Judges messages with their schemas, as the consumer does. Keeps compiled schemas, because compiling one
 * takes 20 ms.
 */
export class FullJudge {
  readonly #judge: MessageJudge;
  readonly #checks: SchemaChecks;

  constructor(unexpected: (error: unknown, topic: TopicVersion) => void = () => {}) {
    this.#judge = new MessageJudge(unexpected);
    this.#checks = new SchemaChecks({ elapsedMs: () => performance.now(), cpuMs: processCpuMs, unexpected });
  }

  judge(message: BlockMessage, index: number, topic: TopicVersion, place: Place): JudgedMessage {
    const judged = this.#judge.judge(message, index, topic, place);
    this.#checks.settle([judged]);
    return judged;
  }
}
