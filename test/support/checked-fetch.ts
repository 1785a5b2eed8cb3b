import { AnswerCheck } from "./answer-check.ts";

/** By origin; called if an answer differs. */
const origins = new Map<string, (fault: string) => void>();
let check: Promise<AnswerCheck> | undefined;
let isInstalled = false;

/**
 * Compares all later answers of the API at this URL to this process with the API's description, for tests
 * and for commands in this process. A difference rejects the request, and fails the process even if the test
 * handles the rejection.
 */
export function checkAnswersOf(url: string, onFault = failProcess): void {
  origins.set(new URL(url).origin, onFault);
  if (isInstalled) return;
  isInstalled = true;
  const fetchUnchecked = globalThis.fetch;
  globalThis.fetch = async (input, init) => {
    const response = await fetchUnchecked(input, init);
    const url = new URL(input instanceof Request ? input.url : input);
    const method = init?.method ?? (input instanceof Request ? input.method : "GET");
    const onFault = origins.get(url.origin);
    if (!onFault) return response;
    const fault = await faultOf(response.clone(), method, url.pathname);
    if (fault === null) return response;
    onFault(fault);
    throw new Error(`answer and description differ: ${fault}`);
  };
}

async function faultOf(response: Response, method: string, url: string): Promise<string | null> {
  // A test that asks nothing does not load the API.
  check ??= import("./api-document.ts").then(async ({ apiDocument }) => new AnswerCheck(await apiDocument()));
  const { status, headers } = response;
  const contentType = headers.get("content-type");
  const body = await response.text();
  return (await check).faultOf({ method, url, status, contentType, body });
}

function failProcess(fault: string): void {
  process.once("exit", () => {
    process.exitCode = 1;
  });
  process.stderr.write(`answer and description differ: ${fault}\n`);
}
