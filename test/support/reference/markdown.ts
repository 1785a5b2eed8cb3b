export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(" | ")} |`;
  return [line(header), line(header.map(() => "---")), ...rows.map(line)].join("\n");
}

export function code(text: string): string {
  return text === "" ? "" : `\`${text}\``;
}

/** Says that a page is generated, so that it is not edited by hand. */
export function page(title: string, parts: readonly string[]): string {
  const origin = "<!-- Generated from the code by `npm run docs`. Do not edit. -->";
  return `${[`# ${title}`, origin, ...parts].join("\n\n")}\n`;
}

/** Adds a full stop. Does not change the first letter, because many texts begin with a value. */
export function sentence(text: string): string {
  return text === "" || /[.!?]$/.test(text) ? text : `${text}.`;
}

/** `<` outside of code would begin an HTML tag, a bar ends the cell. */
function cell(text: string): string {
  return text
    .replaceAll("\n", " ")
    .replaceAll("|", "\\|")
    .split(/(`[^`]*`)/)
    .map((part) => (part.startsWith("`") ? part : part.replaceAll("<", "&lt;")))
    .join("");
}
