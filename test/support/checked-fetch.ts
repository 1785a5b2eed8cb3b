import { AnswerCheck } from "./answer-check.ts";
import { apiDocument } from "./api-document.ts";

const origins = new Set<string>();
let check: Promise<AnswerCheck> | undefined;
let isInstalled = false;

/**
 * From now on every answer that this process gets from the API at this URL is compared with the API's description, whoever asks: tests, or
 * commands that run in this process. A difference rejects the request, and fails the process even if the test bears that.
 */
export function checkAnswersOf(url: string): void {
  origins.add(new URL(url).origin);
  if (isInstalled) return;
  isInstalled = true;
  const fetchUnchecked = globalThis.fetch;
  globalThis.fetch = async (input, init) => {
    const response = await fetchUnchecked(input, init);
    const url = new URL(input instanceof Request ? input.url : input);
    const method = init?.method ?? (input instanceof Request ? input.method : "GET");
    if (origins.has(url.origin)) await checkResponse(response.clone(), method, url.pathname);
    return response;
  };
}

async function checkResponse(response: Response, method: string, url: string): Promise<void> {
  check ??= apiDocument().then((document) => new AnswerCheck(document));
  const { status, headers } = response;
  const contentType = headers.get("content-type");
  const body = await response.text();
  const fault = (await check).faultOf({ method, url, status, contentType, body });
  if (fault === null) return;
  process.once("exit", () => {
    process.exitCode = 1;
  });
  process.stderr.write(`answer and description differ: ${fault}\n`);
  throw new Error(`answer and description differ: ${fault}`);
}
