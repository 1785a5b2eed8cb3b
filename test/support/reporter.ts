// TAP in the form of Node.js, with places in sources instead of bundles. The times of files and the failures
// come right before the summary, so that a log without its beginning still shows them.
import { existsSync } from "node:fs";
import { tap } from "node:test/reporters";
import { sourceOf, sourcePlace } from "./bundle-source.ts";
import { readUsage, usageTable } from "./file-usage.ts";

const failuresMax = 50;
const charactersMax = 500;

/** The parts of an event's data that are used here; the rest is passed on. */
interface EventData {
  readonly nesting?: number;
  readonly name?: string;
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
  readonly message?: string;
  readonly details?: {
    readonly duration_ms: number;
    readonly error?: {
      readonly failureType?: string;
      readonly message?: string;
      readonly cause?: { readonly message?: string };
    };
  };
}

interface TestEvent {
  readonly type: string;
  readonly data: EventData;
}

export default async function* report(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  yield* tap(withSummary(source) as Parameters<typeof tap>[0]) as AsyncIterable<string>;
}

async function* withSummary(source: AsyncIterable<TestEvent>): AsyncGenerator<TestEvent> {
  const failures: EventData[] = [];
  /** The last lines of a file's stderr, in which a file that does not end names the reason. */
  const lastWords = new Map<string, string>();
  for await (const { type, data } of source) {
    const event = { type, data: type === "test:fail" ? atSource(data) : data };
    if (type === "test:stderr") lastWords.set(sourceOf(data.file ?? ""), data.message ?? "");
    if (type === "test:fail" && !isFailedByChild(data)) failures.push(event.data);
    if (type === "test:plan" && data.nesting === 0) {
      const failed = failures.slice(0, failuresMax).map((each) => describe(each, lastWords));
      for (const message of [...usage(), ...failed])
        yield { type: "test:diagnostic", data: { nesting: 0, message } };
    }
    yield event;
  }
}

/** A failure with the place of its source; a file that failed as a whole with the source's name. */
function atSource(data: EventData): EventData {
  const { name, file, line, column } = data;
  if (file === undefined) return data;
  if (name === file || line === undefined || column === undefined)
    return { ...data, file: sourceOf(file), ...(name === file ? { name: sourceOf(file) } : {}) };
  return { ...data, ...sourcePlace({ file, line, column }) };
}

function usage(): string[] {
  const path = process.env["TEST_USAGE"];
  if (path === undefined || !existsSync(path)) return [];
  return usageTable(readUsage(path).map((each) => ({ ...each, file: sourceOf(each.file) })));
}

/** A suite or a file fails if one of its tests does. */
function isFailedByChild({ details }: EventData): boolean {
  return details?.error?.failureType === "subtestsFailed";
}

function describe(
  { name = "", file = "", details }: EventData,
  lastWords: ReadonlyMap<string, string>,
): string {
  const error = details?.error;
  const reason = error?.cause?.message ?? error?.message ?? "no reason given";
  const isWholeFile = name === file;
  const title = isWholeFile ? name : `${file} > ${name}`;
  const words = isWholeFile ? (lastWords.get(file) ?? "") : "";
  const text = `${title} (${Math.round(details?.duration_ms ?? 0)} ms): ${reason} ${words}`;
  return `FAILED ${text.replace(/\s+/g, " ").trim().slice(0, charactersMax)}`;
}
