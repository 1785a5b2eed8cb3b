import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { metricGroups } from "../../support/reference/metric-definitions.ts";
import { unitOf } from "../../support/reference/metrics-page.ts";
import { root, sourceTexts, textsBelow } from "../../support/reference/source-files.ts";

const sources = sourceTexts();
const metrics = metricGroups().flatMap((group) => group.metrics);
const names = metrics.map(({ name }) => name);

test("each metric's name stands literally where it is defined, and each such name is of a metric", () => {
  const literal = sources.flatMap((text) => [...text.matchAll(/"(tidegate_\w+)"/g)].map(([, name]) => name));
  assert.deepEqual([...literal].sort(), [...names].sort());
  assert.deepEqual(
    sources.flatMap((text) => [...text.matchAll(/`tidegate_\w*\$\{.*/g)].map(([made]) => made)),
    [],
  );
});

test("metrics that documents name exist", () => {
  const documents = [readFileSync(join(root, "README.md"), "utf8"), ...textsBelow("docs", ".md")];
  // Not the beginnings of names, as in `tidegate_broker_…`.
  for (const text of documents)
    for (const [name] of text.matchAll(/tidegate_\w+(?![\w…])/g)) assert.ok(names.includes(name), name);
});

test("a metric's unit is the end of its name", () => {
  const unit = (name: string, help = "") => unitOf({ name, help });
  assert.equal(unit("tidegate_s3_copied_bytes_total"), "bytes");
  assert.equal(unit("tidegate_s3_request_seconds"), "s");
  assert.equal(unit("tidegate_consumer_lag_ms"), "ms");
  assert.equal(unit("tidegate_child_up", "1 while it works"), "0 or 1");
  assert.equal(unit("tidegate_stream_redis_pressure", "Step: 0 none, 1 warn, 2 hold."), "step");
  assert.equal(unit("tidegate_broker_connections"), "count");
});
