/**
 * Commands to give up a lost stream. The lake then continues in the stream of the URL; `missing` also
 * creates that stream.
 */
export const newStreamCommand = {
  there: "tidegate stream new",
  missing: "tidegate stream new --create",
} as const;
