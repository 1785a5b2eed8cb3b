/**
 * Verdicts about a message.
 *
 * - `file`: goes into the topic's table, or with its own fault into the quarantine.
 * - `duplicate`: dropped.
 * - `reused`: its id was filed with other content. Open: the quarantine may hold the id with this content.
 * - `quarantine`: quarantined as reused.
 * - `old`: only the exact mode still knows its id. Open: the content is unknown. Becomes `oldDuplicate`,
 *   `reused`, `unsure` or `file`.
 * - `oldReused`: the window knows the id with other content, and the lake may have it with this content.
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
