/** Where a command writes: results to stdout, everything else to stderr. */
export interface CommandStreams {
  readonly out: (text: string) => void;
  readonly error: (text: string) => void;
}

/** The result of a command: a text for people, or with --json one object as the last line of stdout. */
export class CommandOutput {
  readonly #streams: CommandStreams;
  readonly isJson: boolean;

  constructor(streams: CommandStreams, isJson: boolean) {
    this.#streams = streams;
    this.isJson = isJson;
  }

  result(json: unknown, text: string): void {
    this.#streams.out(this.isJson ? `${JSON.stringify(json)}\n` : ensureNewline(text));
  }

  /** For people only, in addition to the result. */
  note(text: string): void {
    this.#streams.error(ensureNewline(text));
  }

  error(code: string, message: string, details: Readonly<Record<string, unknown>>): void {
    this.#streams.error(ensureNewline(message));
    if (!this.isJson) return;
    this.#streams.out(
      `${JSON.stringify({ error: { code, message, ...(isEmpty(details) ? {} : { details }) } })}\n`,
    );
  }
}

function isEmpty(details: object): boolean {
  return Object.keys(details).length === 0;
}

function ensureNewline(text: string): string {
  return text === "" || text.endsWith("\n") ? text : `${text}\n`;
}
