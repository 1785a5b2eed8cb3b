import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brotliDecompressSync } from "node:zlib";
import type { Books } from "../../gateway/status/gateway-status.ts";

/** Data of an earlier version on disk, with the facts that its maker knows. */
export interface Fixture {
  readonly folder: string;
  readonly facts: FixtureFacts;
}

export interface FixtureFacts {
  readonly version: string;
  /** When its processes were killed. */
  readonly killedAtMs: number;
  readonly identities: {
    readonly device: { readonly name: string; readonly key: string };
    readonly edge: { readonly name: string; readonly password: string };
  };
  /** Messages before the consumer was stopped; the rest is unread. */
  readonly books: Books;
  /** Messages, unread ones included. */
  readonly acknowledged: number;
  /** Payloads of the topic `engine`, published by the device. */
  readonly engine: { readonly filed: readonly string[]; readonly unread: readonly string[] };
  readonly blobs: number;
  /**
   * Messages in the outboxes of a device: as it was before all were acknowledged, and one that no gateway has
   * seen.
   */
  readonly outboxes: { readonly sent: number; readonly unsent: number };
  /** Rows of `gauge`: half before the topic was deleted and created again, half after. From format 4 on. */
  readonly gauges?: number;
  /** Rows of the parked table `valve`, which another writer's constraint keeps from showing all. */
  readonly valves?: { readonly shown: number; readonly held: number };
}

/** Unpacks into a new folder, which the caller removes. */
export function unpackFixture(version: string, name: string): Fixture {
  const folder = mkdtempSync(join(tmpdir(), `tidegate-${version}-${name}-`));
  mkdirSync(folder, { recursive: true });
  const packed = readFileSync(join(import.meta.dirname, "..", "fixtures", version, `${name}.tar.br`));
  execFileSync("tar", ["-xf", "-"], { cwd: folder, input: brotliDecompressSync(packed) });
  return { folder, facts: JSON.parse(readFileSync(join(folder, "facts.json"), "utf8")) as FixtureFacts };
}
