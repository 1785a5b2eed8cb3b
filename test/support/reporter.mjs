// TAP as Node.js writes it, and right above its summary what failed: a log whose beginning is cut off still tells.
import { tap } from "node:test/reporters";

const linesMax = 50;
const charactersMax = 500;

export default async function* report(source) {
  yield* tap(withFailures(source));
}

async function* withFailures(source) {
  const failures = [];
  for await (const event of source) {
    const { type, data } = event;
    if (type === "test:fail" && !isFailedByChild(data)) failures.push(describe(data));
    if (type === "test:stderr" && data.message.includes("still runs after"))
      failures.push(data.message.trim());
    if (type === "test:plan" && data.nesting === 0) yield* failures.slice(0, linesMax).map(diagnostic);
    yield event;
  }
}

/** A suite or a file fails with what is in it. */
function isFailedByChild({ details }) {
  return details.error?.failureType === "subtestsFailed";
}

function describe({ name, file, details }) {
  const reason = details.error?.cause?.message ?? details.error?.message ?? "no reason given";
  const text = `${file ?? ""} > ${name} (${Math.round(details.duration_ms)} ms): ${reason}`;
  return text.replace(/\s+/g, " ").slice(0, charactersMax);
}

function diagnostic(message) {
  return { type: "test:diagnostic", data: { nesting: 0, message: `FAILED ${message}` } };
}
