import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ChangeLog } from "../../../../../gateway/registry/redis/change-log.ts";

type Change = readonly [id: string, fields: readonly string[]];

/** The answers of a server, which tests change between readings. */
class Answers {
  epoch = "e1";
  entries: Change[] = [];
  last = 0;
  /** Entries of one answer. */
  most = 1_000;

  revoke(...names: string[]): void {
    for (const name of names) this.entries.push([`${++this.last}-0`, ["revoked", name]]);
  }

  log(): ChangeLog {
    return new ChangeLog(async (after, most) => {
      const since = this.entries.filter(([id]) => Number.parseInt(id, 10) > after);
      return ["ok", this.epoch, String(this.last), since.slice(0, Math.min(most, this.most))];
    });
  }
}

const doubt = { hasTopics: true, revoked: [], isInDoubt: true };
const nothing = { hasTopics: false, revoked: [], isInDoubt: false };

/** A log whose first three changes were confirmed. */
async function followed(answers: Answers): Promise<ChangeLog> {
  answers.revoke("a", "b", "c");
  const log = answers.log();
  assert.deepEqual(
    await log.read(),
    { hasTopics: true, revoked: [], isInDoubt: false },
    "all is read at first",
  );
  log.taken();
  assert.deepEqual(await log.read(), nothing);
  return log;
}

describe("the log of the registry's changes", () => {
  test("revocations are reported, over several answers, and again until they are confirmed", async () => {
    const answers = new Answers();
    const log = await followed(answers);
    answers.most = 2;
    answers.revoke("d", "e", "f", "g", "h");
    const news = { ...nothing, revoked: ["d", "e", "f", "g", "h"] };
    assert.deepEqual(await log.read(), news);
    assert.deepEqual(await log.read(), news);
    log.taken();
    assert.deepEqual(await log.read(), nothing);
  });

  const losses: Record<string, (answers: Answers) => void> = {
    "its front is missing": (answers) => answers.entries.splice(0, 4),
    "it has a hole": (answers) => answers.entries.splice(4, 1),
    "its last change is missing": (answers) => answers.entries.pop(),
    "it is empty": (answers) => answers.entries.splice(0),
    "its numbers went back": (answers) => {
      answers.entries.splice(2);
      answers.last = 2;
    },
    "it is of another registry": (answers) => {
      answers.epoch = "e2";
    },
    "it is of another registry whose number is the known one": (answers) => {
      answers.epoch = "e2";
      answers.entries.splice(3);
      answers.last = 3;
    },
  };
  for (const [loss, lose] of Object.entries(losses)) {
    test(`removals are in doubt if ${loss}; later changes are reported`, async () => {
      const answers = new Answers();
      const log = await followed(answers);
      answers.revoke("d", "e", "f");
      lose(answers);
      assert.deepEqual(await log.read(), doubt);
      assert.deepEqual(await log.read(), doubt, "until it is taken");
      log.taken();
      assert.deepEqual(await log.read(), nothing);
      answers.revoke("z");
      assert.deepEqual(await log.read(), { ...nothing, revoked: ["z"] });
    });
  }

  test("a gap after the first answer is detected, and so is a registry that is replaced between two answers", async () => {
    const losses = [
      (answers: Answers) => void answers.entries.splice(6, 1),
      (answers: Answers) => {
        answers.epoch = "e2";
      },
    ];
    for (const lose of losses) {
      const answers = new Answers();
      await followed(answers);
      let asked = 0;
      const log = new ChangeLog(async (after) => {
        if (++asked === 3) lose(answers);
        const since = answers.entries.filter(([id]) => Number.parseInt(id, 10) > after);
        return ["ok", answers.epoch, String(answers.last), since.slice(0, 2)];
      });
      await log.read();
      log.taken();
      answers.revoke("d", "e", "f", "g", "h");
      assert.deepEqual(await log.read(), doubt);
    }
  });
});
