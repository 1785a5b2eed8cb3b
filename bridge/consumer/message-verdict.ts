/**
 * What becomes of a message. `reused`: its id was filed with other content, and whether the quarantine holds it with this one is open;
 * `quarantine`: it goes there as such. `old`: only the exact mode still knows its id, and with which content is open; then it is an
 * `oldDuplicate`, `reused`, `unsure`, or `file`. `oldReused`: the window knows the id with other content, and the lake may know it with
 * this one. `file`: into the topic's table, or with its own fault into the quarantine.
 */
export const verdict = {
  file: 0,
  duplicate: 1,
  reused: 2,
  oldDuplicate: 3,
  quarantine: 4,
  old: 5,
  unsure: 6,
  oldReused: 7,
} as const;

export function isOpen(outcome: number | undefined): boolean {
  return outcome === verdict.reused || outcome === verdict.old;
}
