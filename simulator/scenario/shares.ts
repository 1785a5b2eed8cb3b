/** An entry that a list of shares may name. */
export interface Choice {
  /** The share if the list names none: above 0, at most 1. */
  readonly share: number;
  /** Which messages or connections it is a share of, and what happens to them; for people. */
  readonly meaning: string;
}

/** The default share of each. */
export function sharesOf<Name extends string>(
  choices: Readonly<Record<Name, Choice>>,
): Readonly<Record<Name, number>> {
  const entries = Object.entries<Choice>(choices).map(([name, { share }]) => [name, share]);
  return Object.fromEntries(entries) as Record<Name, number>;
}

/** A line for each, for people. */
export function choicesText(choices: Readonly<Record<string, Choice>>): string {
  return Object.entries(choices)
    .map(([name, { share, meaning }]) => `  ${`${name}=${share}`.padEnd(18)}${meaning}`)
    .join("\n");
}

/**
 * Reads a list such as `disconnect,poison=0.01`; `all` = everything with its default share. Returns the
 * shares, or the fault.
 */
export function parseShares<Name extends string>(
  text: string,
  { defaults, kind }: { readonly defaults: Readonly<Record<Name, number>>; readonly kind: string },
): Readonly<Partial<Record<Name, number>>> | string {
  const names = Object.keys(defaults) as Name[];
  const shares: Partial<Record<Name, number>> = {};
  const parts = text.split(",").map((item) => item.trim());
  for (const part of parts) {
    if (part === "all") continue;
    const [name = "", shareText] = part.split("=", 2);
    const known = names.find((each) => each === name);
    if (!known) return `${JSON.stringify(name)} is not a ${kind}: choose from ${names.join(", ")}, or all`;
    if (shares[known] !== undefined) return `${known} is named twice`;
    const share = shareText === undefined ? defaults[known] : Number(shareText);
    if (shareText?.trim() === "" || !(share > 0 && share <= 1))
      return `the share of ${known} is ${JSON.stringify(shareText)}: it must be a number above 0 and at most 1, such as ${known}=0.01`;
    shares[known] = share;
  }
  return parts.includes("all") ? { ...defaults, ...shares } : shares;
}
