import type { IncomingMessage, Server, ServerResponse } from "node:http";

/**
 * Answers clients that ask before they send a body (`Expect: 100-continue`). They may continue only if the
 * body is not too large. Fastify refuses a larger body by its declared length, before it is sent.
 */
export function answerExpectations(server: Server, bodyMaxBytes: number): void {
  server.on("checkContinue", (request: IncomingMessage, response: ServerResponse) => {
    const isTooLarge = Number(request.headers["content-length"]) > bodyMaxBytes;
    // The client may still send the body, so the beginning of a next request is unknown.
    if (isTooLarge) response.shouldKeepAlive = false;
    else response.writeContinue();
    server.emit("request", request, response);
  });
}
