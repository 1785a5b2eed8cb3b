// TAP as Node.js writes it, and right above its summary what failed: a log whose beginning is cut off still tells.
import { tap } from "node:test/reporters";

const linesMax = 50;
const charactersMax = 500;

export default async function* report(source) {
  yield* tap(withFailures(source));
}

async function* withFailures(source) {
  const failures = [];
  /** What a file last wrote to stderr: one that does not end says there what holds it. */
  const lastWords = new Map();
  for await (const event of source) {
    const { type, data } = event;
    if (type === "test:stderr") lastWords.set(data.file, data.message);
    if (type === "test:fail" && !isFailedByChild(data)) failures.push(data);
    if (type === "test:plan" && data.nesting === 0)
      for (const failure of failures.slice(0, linesMax))
        yield {
          type: "test:diagnostic",
          data: { nesting: 0, message: `FAILED ${describe(failure, lastWords)}` },
        };
    yield event;
  }
}

/** A suite or a file fails with what is in it. */
function isFailedByChild({ details }) {
  return details.error?.failureType === "subtestsFailed";
}

function describe({ name, file, details }, lastWords) {
  const reason = details.error?.cause?.message ?? details.error?.message ?? "no reason given";
  const isWholeFile = name === file;
  const text = [
    `${isWholeFile ? "" : `${file} > `}${name} (${Math.round(details.duration_ms)} ms): ${reason}`,
    isWholeFile ? lastWords.get(file) : undefined,
  ];
  return text.join(" ").replace(/\s+/g, " ").trim().slice(0, charactersMax);
}
