import { createHash } from "node:crypto";

/** Time of a round on an idle core of 2026. */
const usualMs = 100;
const rounds = 5;
const slownessMax = 4;

/**
 * How much slower this machine is now than the machine on which the limits of tests were set: from 1 to 4.
 * Takes half a second or longer.
 */
export function machineSlowness(): number {
  const measured = Array.from({ length: rounds }, measuredMs).sort((left, right) => left - right);
  const median = measured[Math.floor(rounds / 2)] ?? usualMs;
  return Math.min(slownessMax, Math.max(1, median / usualMs));
}

function measuredMs(): number {
  const bytes = Buffer.alloc(1024, 1);
  const beganAtMs = performance.now();
  for (let count = 0; count < 50_000; count++)
    bytes.writeUInt32LE(createHash("sha1").update(bytes).digest().readUInt32LE());
  return performance.now() - beganAtMs;
}
