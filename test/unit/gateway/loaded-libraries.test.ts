import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { build, type Metafile } from "esbuild";

const root = process.cwd();
const entries = {
  supervisor: "gateway/supervisor/run-gateway.ts",
  broker: "gateway/roles/start-broker.ts",
  consumer: "gateway/roles/start-consumer.ts",
  upkeep: "gateway/roles/start-upkeep.ts",
};

/**
 * Packages that are loaded with a source, used or not. Packages that `import()` may load later do not count.
 */
function loadedWith({ inputs }: Metafile, entry: string): Set<string> {
  const seen = new Set([entry]);
  for (const path of seen)
    for (const { path: next, kind } of inputs[path]?.imports ?? [])
      if (kind !== "dynamic-import") seen.add(next);
  const packages = [...seen].map((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1]);
  return new Set(packages.filter((name) => name !== undefined));
}

test("a process loads the libraries that it needs: each of these takes 0.1 to 0.4 CPU seconds of every start", async () => {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: Object.values(entries),
    outdir: join(root, "dist"),
    write: false,
    bundle: true,
    splitting: true,
    metafile: true,
    platform: "node",
    format: "esm",
    external: ["*.node"],
    logLevel: "silent",
  });
  const heavy = [
    "@aws-sdk/client-kinesis",
    "@aws-sdk/client-s3",
    "@duckdb/node-api",
    "aedes",
    "fastify",
    "ioredis",
  ];
  const loaded = (entry: string) => {
    const all = loadedWith(metafile, entry);
    assert.ok(all.has("prom-client"), `${entry} was followed`);
    return heavy.filter((name) => all.has(name));
  };
  assert.deepEqual(loaded(entries.supervisor), ["fastify"]);
  assert.deepEqual(loaded(entries.broker), ["aedes"]);
  assert.deepEqual(loaded(entries.consumer), []);
  assert.deepEqual(loaded(entries.upkeep), []);
});
