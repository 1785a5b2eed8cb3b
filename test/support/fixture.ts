import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brotliDecompressSync } from "node:zlib";
import type { Books } from "../../gateway/supervisor/gateway-status.ts";

/** What an earlier version left on disk, with what its maker knows of it. */
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
  /** Before the consumer was stopped: the rest is unread. */
  readonly books: Books;
  /** Messages, unread ones included. */
  readonly acknowledged: number;
  /** Payloads of the topic `engine`, published by the device. */
  readonly engine: { readonly filed: readonly string[]; readonly unread: readonly string[] };
  readonly blobs: number;
  /** Messages in the outboxes of a device: as it was before all were acknowledged, and one that no gateway has seen. */
  readonly outboxes: { readonly sent: number; readonly unsent: number };
}

/** Unpacks into a new folder, which the caller removes. */
export function unpackFixture(version: string, name: string): Fixture {
  const folder = mkdtempSync(join(tmpdir(), `tidegate-${version}-${name}-`));
  mkdirSync(folder, { recursive: true });
  const packed = readFileSync(join(import.meta.dirname, "..", "fixtures", version, `${name}.tar.br`));
  execFileSync("tar", ["-xf", "-"], { cwd: folder, input: brotliDecompressSync(packed) });
  return { folder, facts: JSON.parse(readFileSync(join(folder, "facts.json"), "utf8")) as FixtureFacts };
}
