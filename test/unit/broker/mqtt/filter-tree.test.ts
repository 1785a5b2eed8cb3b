import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FilterTree } from "../../../../broker/mqtt/filter-tree.ts";
import { matchTopicFilter, parseSubscriptionFilter } from "../../../../devices/protocol/topic-filter.ts";

const level = fc.constantFrom("", "a", "b", "$x", "+");
const filter = fc
  .tuple(fc.array(level, { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([levels, isOpen]) => [...levels, ...(isOpen ? ["#"] : [])].join("/"))
  .filter((text) => text !== "");
const name = fc
  .array(fc.constantFrom("", "a", "b", "$x"), { minLength: 1, maxLength: 5 })
  .map((levels) => levels.join("/"))
  .filter((text) => text !== "");

test("the tree matches what its filters match one by one, whatever was added and taken back", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(filter, fc.boolean()), { maxLength: 20 }),
      fc.array(name),
      (steps, names) => {
        const tree = new FilterTree();
        const held: string[] = [];
        for (const [text, isAdded] of steps) {
          if (isAdded) {
            tree.add(text);
            held.push(text);
          } else {
            tree.remove(text);
            if (held.includes(text)) held.splice(held.indexOf(text), 1);
          }
        }
        assert.equal(tree.isEmpty, held.length === 0);
        const filters = held.map(parseSubscriptionFilter);
        for (const each of names)
          assert.equal(
            tree.matches(each),
            filters.some((one) => matchTopicFilter(one, each) !== null),
            `${each} in ${held.join(" ")}`,
          );
      },
    ),
    { numRuns: 1_000 },
  );
});

test("filters that were all taken back leave nothing behind", () => {
  const tree = new FilterTree();
  for (const text of ["#", "a/#", "a/+/b", "+/a", "a"]) tree.add(text);
  for (const text of ["a/+/b", "a", "#", "+/a", "a/#", "a/#"]) tree.remove(text);
  assert.equal(tree.isEmpty, true);
  for (const each of ["a", "a/b", "b/a", "$SYS/a"]) assert.equal(tree.matches(each), false);
});
