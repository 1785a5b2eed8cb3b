/** What an operator gives a lost stream up with. It continues in the stream of the URL, which has to be there. */
export const newStreamCommand = {
  there: "tidegate stream new",
  missing: "tidegate stream new --create",
} as const;
