import type { Socket } from "node:net";
import type { ApiError } from "./api-errors.ts";

const answers: Readonly<Record<string, { readonly status: string; readonly message: string }>> = {
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: "408 Request Timeout",
    message: "The request was not complete within a minute.",
  },
  HPE_HEADER_OVERFLOW: {
    status: "431 Request Header Fields Too Large",
    message: "The headers are larger than 16 KiB.",
  },
};
const other = { status: "400 Bad Request", message: "This is not an HTTP/1.1 request." };

/**
 * Answers a request that the HTTP parser cannot read, and closes the connection. No route or hook sees such a
 * request.
 */
export function answerUnreadable(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const { status, message } = answers[error.code ?? ""] ?? other;
  const refusal: ApiError = { code: "REQUEST_INVALID", message, retryable: false, where: null };
  const body = JSON.stringify(refusal);
  const headers = `content-type: application/json; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close`;
  socket.end(`HTTP/1.1 ${status}\r\n${headers}\r\n\r\n${body}`);
}
