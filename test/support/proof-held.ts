import assert from "node:assert/strict";

export interface EndedProof {
  readonly status: number | null;
  readonly stderr: string;
  /** The output of a proof with `--json`; null if there was none. */
  // biome-ignore lint/suspicious/noExplicitAny: the tests read what the product documents.
  readonly json: any;
}

/**
 * Asserts that a proof found nothing. A failure says first what the proof found: a summary may cut the rest.
 */
export function assertProofHeld({ status, json, stderr }: EndedProof, seed: string): void {
  const found: readonly string[] = json?.faults ?? [`no result, exit code ${status}`];
  const why = `${found.join("; ")} · SEED=${seed} · ${lastOf(stderr)}`;
  assert.deepEqual(found, [], why);
  assert.equal(status, 0, why);
}

/** The last lines of a proof's output. */
function lastOf(stderr: string): string {
  return stderr.trimEnd().split("\n").slice(-40).join("\n");
}
