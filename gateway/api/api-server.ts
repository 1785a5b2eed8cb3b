import type { AddressInfo } from "node:net";
import fastify, { type FastifyInstance, type FastifyRequest } from "fastify";
import type { Logger } from "pino";
import type { Counter } from "prom-client";
import type { FileIdentity } from "../data-folder/folder-identity.ts";
import { GatewayError } from "../errors.ts";
import { installDescription } from "./api-description.ts";
import { answerUnroutable, installErrorAnswers } from "./api-errors.ts";
import type { ApiServices } from "./api-services.ts";
import { isRightToken } from "./api-token.ts";
import { askedFolderHeader, askedFolderText } from "./asked-folder.ts";
import { addDeviceRoutes } from "./device-routes.ts";
import { answerExpectations } from "./expect-continue.ts";
import { addOperationRoutes } from "./operation-routes.ts";
import { addQuarantineRoutes } from "./quarantine-routes.ts";
import { installRequestInput } from "./request-input.ts";
import { addTopicRoutes } from "./topic-routes.ts";
import { answerUnreadable } from "./unreadable-request.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    /** True for routes that do not need the token. */
    isOpen?: boolean;
  }
}

export interface ApiOptions {
  readonly services: ApiServices;
  readonly token: string;
  /** The data folder; null if it has no identity. */
  readonly folder: FileIdentity | null;
  readonly bodyMaxBytes: number;
  readonly version: string;
  readonly logger: Logger;
  readonly requests: Counter<"method" | "route" | "status">;
}

/**
 * The HTTP API, not listening yet. All routes except /livez, /readyz and /openapi.json need the bearer token.
 */
export async function createApi(options: ApiOptions): Promise<FastifyInstance> {
  const app = fastify({
    bodyLimit: options.bodyMaxBytes,
    requestTimeout: 60_000,
    routerOptions: { maxParamLength: 512 },
    frameworkErrors: answerUnroutable,
    clientErrorHandler: answerUnreadable,
  });
  const hasToken = ({ headers }: FastifyRequest) => isRightToken(options.token, headers.authorization);
  answerExpectations(app.server, options.bodyMaxBytes);
  installRequestInput(app);
  installErrorAnswers(app, options.logger);
  app.addHook("onRequest", async (request) => {
    if (request.routeOptions.config.isOpen) return;
    if (!hasToken(request))
      throw new GatewayError(
        "TOKEN_REFUSED",
        "The request needs the header `Authorization: Bearer TOKEN`; the token is in the file api-token of the data folder.",
        { retryable: false },
      );
    checkAskedFolder(request.headers[askedFolderHeader], options.folder);
  });
  app.addHook("onResponse", async (request, reply) => {
    const route = request.routeOptions.url ?? "unknown";
    options.requests.inc({ method: request.method, route, status: reply.statusCode });
  });
  await installDescription(app, options.version);
  addOperationRoutes(app, options.services, hasToken);
  addTopicRoutes(app, options.services);
  addDeviceRoutes(app, options.services);
  addQuarantineRoutes(app, options.services);
  await app.ready();
  return app;
}

function checkAskedFolder(asked: string | string[] | undefined, folder: FileIdentity | null): void {
  if (asked === undefined || folder === null || asked === askedFolderText(folder)) return;
  throw new GatewayError(
    "GATEWAY_OTHER",
    "The request is for the gateway of another data folder, possibly of a copy of this gateway's folder.",
    { retryable: false },
  );
}

/** Resolves with `host:port`, brackets around an IPv6 address. Throws HTTP_ADDRESS_UNUSABLE. */
export async function listenApi(app: FastifyInstance, at: { host: string; port: number }): Promise<string> {
  try {
    await app.listen({ host: at.host, port: at.port });
  } catch (cause) {
    const reason =
      (cause as NodeJS.ErrnoException).code === "EADDRINUSE" ? "the address is in use" : String(cause);
    throw new GatewayError(
      "HTTP_ADDRESS_UNUSABLE",
      `The HTTP API can't listen on ${at.host}:${at.port}: ${reason}. Choose another address with --http HOST:PORT.`,
      { retryable: false, cause },
    );
  }
  const { address, family, port } = app.server.address() as AddressInfo;
  return `${family === "IPv6" ? `[${address}]` : address}:${port}`;
}
