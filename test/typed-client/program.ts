// A client as somebody else would write it, with types generated from /openapi.json. Usage: program.ts URL
// TOKEN
import createClient from "openapi-fetch";
import type { components, paths } from "./api-types.ts";

const [baseUrl = "", token = ""] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl, headers: { authorization: `Bearer ${token}` } });
type ApiError = components["schemas"]["Error"];

/** Fails here if an error's body is not what its schema says. */
function shown(error: ApiError | undefined) {
  return error && { code: error.code, retryable: error.retryable, where: error.where };
}

const engine = { name: "engine", filter: "plant/{device}/engine", format: "json" } as const;
const created = await client.POST("/v1/topics", { body: engine });
const version: number | undefined = created.data?.topic.version;
const again = await client.POST("/v1/topics", { body: engine });
const listed = await client.GET("/v1/topics", { params: { query: { deleted: true } } });
const names: string[] | undefined = listed.data?.topics.map(({ name }) => name);
const updated = await client.PUT("/v1/topics/{name}", {
  params: { path: { name: "engine" } },
  body: { ...engine, maxPayloadBytes: 99 },
});
const versions = await client.GET("/v1/topics/{name}", { params: { path: { name: "engine" } } });
const deleted = await client.DELETE("/v1/topics/{name}", { params: { path: { name: "engine" } } });

const added = await client.POST("/v1/devices", { body: { name: "press-7" } });
const key: string | null | undefined = added.data?.key;
const devices = await client.GET("/v1/devices", { params: { query: { limit: 1 } } });
const removed = await client.DELETE("/v1/devices/{name}", { params: { path: { name: "press-7" } } });

const status = await client.GET("/v1/status");
const filed: number | undefined = status.data?.books?.filed;
const readiness = await client.GET("/readyz");
const liveness = await client.GET("/livez");
const metrics = await client.GET("/metrics", { parseAs: "text" });
const quarantine = await client.GET("/v1/quarantine", { params: { query: { reason: "id-missing" } } });
const id = quarantine.data?.rows[0]?.id ?? "";
const quarantined = await client.GET("/v1/quarantine/{id}", { params: { path: { id } } });

const wrong = await client.POST("/v1/topics", {
  // @ts-expect-error: the compiler knows which formats there are.
  body: { ...engine, format: "jsn" },
});
const unknown = await client.GET("/v1/topics/{name}", { params: { path: { name: "nothing" } } });
const gap = await client.POST("/v1/stream/accept-gap", { body: { partition: 0 } });
const closed = createClient<paths>({ baseUrl });
const refused = await closed.GET("/v1/status");

process.stdout.write(
  JSON.stringify({
    topics: [created.response.status, again.response.status, version, names],
    versions: [updated.data?.created, versions.data?.versions.length, deleted.data?.topic.deleted],
    devices: [key?.slice(0, 4), devices.data?.next, removed.data?.removed],
    status: [status.data?.isReady, filed, status.data?.broker?.producer.totals.appendedMessages],
    health: [readiness.data?.state, liveness.data?.status, metrics.data?.startsWith("# HELP")],
    quarantine: [quarantine.data?.rows.length, quarantined.data?.row.payload_base64],
    errors: [wrong.error, unknown.error, gap.error, refused.error].map(shown),
  }),
);
