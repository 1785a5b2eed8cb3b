import assert from "node:assert/strict";
import { metricGroups } from "./metric-definitions.ts";

/**
 * Asserts that the answer to `GET /metrics` has exactly the metrics in docs/reference/metrics.md of the
 * groups with these titles.
 */
export function assertExports(answer: string, titles: readonly string[]): void {
  const groups = metricGroups().filter(({ title }) => titles.includes(title));
  assert.equal(groups.length, titles.length);
  const exported = [...answer.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => `${name} ${type}`);
  const described = groups.flatMap(({ metrics }) => metrics.map(({ name, type }) => `${name} ${type}`));
  assert.deepEqual(exported.sort(), described.sort());
  for (const { where, metrics } of groups)
    for (const { name } of metrics) {
      const values = answer.matchAll(
        new RegExp(`^${name}(?:_sum|_count|_bucket)?\\{.*process="(\\w+)".*\\}`, "gm"),
      );
      for (const [, process] of values)
        assert.ok(where.includes(process ?? ""), `${process} exports ${name}`);
    }
}
