import assert from "node:assert/strict";

export interface EndedProof {
  readonly status: number | null;
  readonly stderr: string;
  /** What the proof printed with `--json`; null if it printed nothing. */
  // biome-ignore lint/suspicious/noExplicitAny: the tests read what the product documents.
  readonly json: any;
}

/** Asserts that a proof found nothing. A failure says first what the proof found: a summary may cut the rest. */
export function assertProofHeld({ status, json, stderr }: EndedProof, seed: string): void {
  const found: readonly string[] = json?.faults ?? [`no result, exit code ${status}`];
  const why = `${found.join("; ")} · SEED=${seed} · ${lastOf(stderr)}`;
  assert.deepEqual(found, [], why);
  assert.equal(status, 0, why);
}

/** The end of what a proof told, newest last. */
function lastOf(stderr: string): string {
  return stderr.trimEnd().split("\n").slice(-40).join("\n");
}
