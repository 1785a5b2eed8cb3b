import assert from "node:assert/strict";
import { test } from "node:test";
import { commandExamples } from "../../../gateway/cli/command-examples.ts";
import { commandExamples as simulatorExamples } from "../../../simulator/command/command-examples.ts";
import { describedCommands } from "../../support/reference/command-tree.ts";

const commands = describedCommands();

test("each command has examples, and there are none of other commands", () => {
  assert.deepEqual(
    commands.map(({ name }) => name).sort(),
    Object.keys({ ...commandExamples, ...simulatorExamples }).sort(),
  );
  for (const { name, examples } of commands) assert.ok(examples.length > 0, name);
});

test("each example is a command line that its command takes", async () => {
  for (const { name, command, examples } of commands)
    for (const example of examples) {
      const words = wordsOf(example);
      const start = ["tidegate", ...name.split(" ")];
      assert.deepEqual(words.slice(0, start.length), start, example);
      let taken = false;
      command.action(() => {
        taken = true;
      });
      await command.parseAsync(words.slice(start.length), { from: "user" });
      assert.ok(taken, example);
    }
});

/** As a shell would divide it. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(([, single, double, plain]) => {
    return single ?? double ?? plain ?? "";
  });
}
