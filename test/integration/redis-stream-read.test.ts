import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { startPosition } from "../../bridge/streams/stream-log.ts";
import { newTestStream, startStreamServer } from "../support/redis-stream.ts";

const { server, admin } = await startStreamServer();

test("a read returns as many blocks as fit, whatever sizes follow, and at least one", async () => {
  const size = fc.oneof(fc.nat(20), fc.integer({ min: 1_000, max: 30_000 }));
  await fc.assert(
    fc.asyncProperty(
      fc.array(size, { minLength: 1, maxLength: 60, size: "max" }),
      fc.array(fc.tuple(fc.nat(59), fc.nat(40_000), fc.integer({ min: 1, max: 70 })), {
        maxLength: 8,
        size: "max",
      }),
      async (sizes, reads) => {
        await admin.flushall();
        const { stream } = await newTestStream(server.url);
        for (const [index, bytes] of sizes.entries())
          await stream.append(0, new Uint8Array(bytes).fill(index));
        const all = await stream.read(0, startPosition, { maxBytes: 2 ** 40, maxEntries: 100 });
        assert.deepEqual(
          all.map(({ block }) => block.length),
          sizes,
        );
        for (const [first, maxBytes, maxEntries] of reads.filter(([from]) => from < sizes.length)) {
          const after = all[first - 1]?.position ?? startPosition;
          const read = await stream.read(0, after, { maxBytes, maxEntries });
          let bytes = 0;
          const fitting = sizes.slice(first, first + maxEntries).filter((each, index) => {
            bytes += each;
            return index === 0 || bytes <= maxBytes;
          });
          assert.deepEqual(
            read.map(({ position }) => position),
            all.slice(first, first + fitting.length).map(({ position }) => position),
          );
        }
        await stream.close();
      },
    ),
    { numRuns: 40 },
  );
});
