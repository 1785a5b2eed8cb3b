import { type Static, Type } from "@sinclair/typebox";
import type { FastifyError, FastifyInstance } from "fastify";
import type { Logger } from "pino";
import { CodedError } from "../../devices/protocol/coded-error.ts";
import { GatewayError } from "../errors.ts";

/** What every refused request is answered with. */
export const apiErrorSchema = Type.Object(
  {
    code: Type.String({ description: "For programs: never changes its meaning" }),
    message: Type.String({ description: "For people: what is wrong and what to do" }),
    details: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  },
  { description: "Refused" },
);

export type ApiError = Static<typeof apiErrorSchema>;

const statusOfCode: Readonly<Record<string, number>> = {
  TOKEN_REFUSED: 401,
  // Misdirected Request [RFC 9110, 15.5.20].
  GATEWAY_OTHER: 421,
  REQUEST_INVALID: 400,
  REQUEST_TOO_LARGE: 413,
  ROUTE_UNKNOWN: 404,
  TOPIC_INVALID: 400,
  /** The bridge's. */
  TOPIC_SCHEMA_INVALID: 400,
  TOPIC_UNKNOWN: 404,
  DEVICE_INVALID: 400,
  DEVICE_UNKNOWN: 404,
  QUARANTINE_UNKNOWN: 404,
  CHILD_UNREACHABLE: 503,
  INTERNAL_ERROR: 500,
};

/** Other errors with a code are refusals that depend on the state of things: 409, or 503 where trying again may help. */
function statusOf(error: CodedError): number {
  return statusOfCode[error.code] ?? (error.retryable ? 503 : 409);
}

export function installErrorAnswers(app: FastifyInstance, logger: Logger): void {
  app.setErrorHandler((raised: FastifyError | CodedError, _request, reply) => {
    const error = raised instanceof CodedError ? raised : foreignError(raised, logger);
    const body: ApiError = { code: error.code, message: error.message };
    if (Object.keys(error.details).length > 0) body.details = { ...error.details };
    return reply.status(statusOf(error)).send(body);
  });
  app.setNotFoundHandler((request) => {
    throw new GatewayError(
      "ROUTE_UNKNOWN",
      `There is no ${request.method} ${request.url}: see /openapi.json.`,
      {
        retryable: false,
      },
    );
  });
}

function foreignError(error: FastifyError, logger: Logger): GatewayError {
  if (error.code === "FST_ERR_CTP_BODY_TOO_LARGE")
    return new GatewayError("REQUEST_TOO_LARGE", "The body is larger than http.bodyMaxBytes.", {
      retryable: false,
    });
  if (error.validation || (error.statusCode !== undefined && error.statusCode < 500))
    return new GatewayError("REQUEST_INVALID", error.message, { retryable: false });
  logger.error({ event: "api.failed", err: error }, "an API request failed");
  return new GatewayError("INTERNAL_ERROR", "The request failed: the gateway's log says why.", {
    retryable: false,
  });
}
