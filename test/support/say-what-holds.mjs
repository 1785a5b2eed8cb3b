// A test file whose tests are over but that does not end says what keeps it alive, before the runner gives it up at 300 s.
const afterMs = 240_000;

function say() {
  const held = process.getActiveResourcesInfo().join(", ") || "nothing that Node.js knows of";
  process.stderr.write(`# ${process.argv[1]} still runs after ${afterMs / 1000} s, held by: ${held}\n`);
}

// Processes that tests start have this module, too.
if (process.argv[1]?.endsWith(".test.ts")) setTimeout(say, afterMs).unref();
