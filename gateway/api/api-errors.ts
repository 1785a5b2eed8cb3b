import { type Static, Type } from "@sinclair/typebox";
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Logger } from "pino";
import { CodedError } from "../../devices/protocol/coded-error.ts";
import { GatewayError } from "../errors.ts";
import { faultsOf } from "../input/input-error.ts";
import { requestInvalid } from "./request-input.ts";

/** The answer to every refused request. */
export const apiErrorSchema = Type.Object(
  {
    code: Type.String({ description: "For programs: its meaning never changes" }),
    message: Type.String({ description: "For people: what is wrong and what to do" }),
    retryable: Type.Boolean({
      description: "True if the same request may succeed later without any other change",
    }),
    where: Type.Union([Type.String(), Type.Null()], {
      description:
        "The part with the error: a field of the body such as allowedQos[1], ?limit of the query, {name} of the path, or a header; null = the request as a whole",
    }),
    details: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), {
        description: "For programs; `faults` lists every fault with where, kind, value and mend",
      }),
    ),
  },
  { $id: "Error", description: "Why the request is refused" },
);

export type ApiError = Static<typeof apiErrorSchema>;

export const statusOfCode: Readonly<Record<string, number>> = {
  TOKEN_REFUSED: 401,
  // Misdirected Request [RFC 9110, 15.5.20]
  GATEWAY_OTHER: 421,
  REQUEST_INVALID: 400,
  REQUEST_TOO_LARGE: 413,
  ROUTE_UNKNOWN: 404,
  TOPIC_INVALID: 400,
  /** A code of the bridge. */
  TOPIC_SCHEMA_INVALID: 400,
  TOPIC_UNKNOWN: 404,
  DEVICE_INVALID: 400,
  DEVICE_UNKNOWN: 404,
  QUARANTINE_UNKNOWN: 404,
  CHILD_UNREACHABLE: 503,
  INTERNAL_ERROR: 500,
};

/** The part with the error, for codes without a list of faults. */
const whereOfCode: Readonly<Record<string, string>> = {
  TOKEN_REFUSED: "header authorization",
  GATEWAY_OTHER: "header tidegate-folder",
  TOPIC_UNKNOWN: "{name}",
  TOPIC_EXISTS: "name",
  TOPIC_AMBIGUOUS: "filter",
  TOPIC_SCHEMA_INVALID: "schema",
  TOPIC_INCOMPATIBLE: "schema",
  TOPIC_PURGE_UNSAFE: "?purge",
  DEVICE_UNKNOWN: "{name}",
  DEVICE_EXISTS: "name",
  QUARANTINE_UNKNOWN: "{id}",
  STREAM_NO_GAP: "partition",
};

/** Other codes depend on the state of the gateway: 409, or 503 if a retry may succeed. */
function statusOf(error: CodedError): number {
  return statusOfCode[error.code] ?? (error.retryable ? 503 : 409);
}

export function installErrorAnswers(app: FastifyInstance, logger: Logger): void {
  app.setErrorHandler((raised: FastifyError | CodedError, _request, reply) =>
    sendError(reply, raised instanceof CodedError ? raised : foreignError(raised, app.initialConfig, logger)),
  );
  app.setNotFoundHandler((request) => {
    throw new GatewayError(
      "ROUTE_UNKNOWN",
      `The API has no ${request.method} ${request.url}: see /openapi.json.`,
      { retryable: false },
    );
  });
}

function placeOf({ where }: Readonly<Record<string, unknown>>): string | null {
  return typeof where === "string" ? where : null;
}

function sendError(reply: FastifyReply, error: CodedError): FastifyReply {
  const { code, message, retryable, details } = error;
  const where = faultsOf(details)[0]?.where || placeOf(details) || whereOfCode[code] || null;
  const body: ApiError = { code, message, retryable, where };
  if (Object.keys(details).length > 0) body.details = { ...details };
  return reply.status(statusOf(error)).send(body);
}

/** For requests that reach no route: Fastify calls this instead of the error handler. */
export function answerUnroutable(_error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  void sendError(
    reply,
    requestInvalid(
      `The path ${request.raw.url} can't be read: write a literal % as %25, and use parameters of at most 512 characters.`,
    ),
  );
}

/** Errors of the framework, in the gateway's words. */
function foreignError(
  error: FastifyError,
  { bodyLimit }: { readonly bodyLimit?: number | undefined },
  logger: Logger,
): GatewayError {
  if (error.code === "FST_ERR_CTP_BODY_TOO_LARGE")
    return new GatewayError(
      "REQUEST_TOO_LARGE",
      `The body is larger than http.bodyMaxBytes (${bodyLimit} bytes).`,
      { retryable: false },
    );
  if (error.code === "FST_ERR_CTP_INVALID_MEDIA_TYPE")
    return requestInvalid(
      "The body is not sent as JSON: send JSON with the header content-type: application/json.",
    );
  if (error.statusCode !== undefined && error.statusCode < 500)
    return requestInvalid("The body can't be read: its length differs from content-length.");
  logger.error({ event: "api.failed", err: error }, "an API request has failed");
  return new GatewayError("INTERNAL_ERROR", "The request failed: the log of the gateway says why.", {
    retryable: false,
  });
}
