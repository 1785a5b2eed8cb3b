import type { HttpAnswer, HttpHead, HttpRequest } from "./http-fault.ts";
import { s3Error } from "./s3-faults.ts";

type Ask = (request: HttpRequest) => Promise<HttpAnswer>;

/**
 * Gives s3rver what it lacks: `If-None-Match: *` on PutObject, atomic among the calls that pass here. While
 * such a put of a key is under way, one call at a time is let through for this key, reads included: s3rver
 * shows objects that are still being written.
 */
export class ConditionalPut {
  /** The last call for a key that something waits for. */
  readonly #last = new Map<string, Promise<void>>();

  /** Whether `answer` must have this call. */
  concerns(head: HttpHead): boolean {
    return isConditional(head) || this.#last.has(keyOf(head));
  }

  async answer(request: HttpRequest, ask: Ask): Promise<HttpAnswer> {
    const key = keyOf(request);
    if (!isConditional(request) && !this.#last.has(key)) return ask(request);
    const before = this.#last.get(key);
    const { promise: done, resolve: leave } = deferred();
    this.#last.set(key, done);
    try {
      await before;
      return await (isConditional(request) ? putIfAbsent(request, ask) : ask(request));
    } finally {
      leave();
      if (this.#last.get(key) === done) this.#last.delete(key);
    }
  }
}

async function putIfAbsent(request: HttpRequest, ask: Ask): Promise<HttpAnswer> {
  const { "if-none-match": _, ...headers } = request.headers;
  const looked = { method: "HEAD", operation: "HeadObject", body: Buffer.alloc(0) };
  // s3rver lets anybody look.
  const found = await ask({ ...request, ...looked, headers: { host: headers.host ?? "" } });
  if (found.status === 200)
    return s3Error(
      412,
      "PreconditionFailed",
      "At least one of the pre-conditions you specified did not hold",
    );
  if (found.status !== 404)
    return s3Error(500, "InternalError", `looking for the object: HTTP ${found.status}`);
  return ask({ ...request, headers });
}

function isConditional({ operation, headers }: HttpHead): boolean {
  return operation === "PutObject" && headers["if-none-match"] === "*";
}

function keyOf({ path }: HttpHead): string {
  return new URL(path, "http://s3").pathname;
}

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
