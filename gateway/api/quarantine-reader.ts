import { execFile } from "node:child_process";
import { GatewayError } from "../errors.ts";
import type { GatewayConfig } from "../settings/gateway-config.ts";
import type { ApiServices, QuarantineFilter, QuarantinePayload, QuarantineRow } from "./api-services.ts";

const timeoutMs = 30_000;
const answerMaxBytes = 32 * 1024 * 1024;
/** Each query is a separate process with a database engine. */
const queriesMax = 2;

const listColumns = "ingest_time, device_id, topic, reason, detail, topic_version, event_time, payload_crc";
const identity = "concat(_stream, '.', _partition, '.', _position, '.', _index)";

/**
 * Reads `_quarantine` with `tidegate query` in a child process. So a crash of the database engine on a
 * damaged file or a huge table ends neither the supervisor nor the consumer.
 */
export function createQuarantineReader(parts: {
  readonly config: GatewayConfig;
  readonly program: string;
}): ApiServices["quarantine"] {
  let running = 0;
  const query = async <Row>(sql: string): Promise<Row[]> => {
    if (running >= queriesMax)
      throw new GatewayError("CHILD_UNREACHABLE", "Too many queries run: try again in a moment.", {
        retryable: true,
      });
    running++;
    try {
      return (await runQueryProcess(parts, sql)) as Row[];
    } finally {
      running--;
    }
  };
  return {
    list: (filter) => query<QuarantineRow>(listQuery(filter)),
    show: async (id) => (await query<QuarantinePayload>(showQuery(id)))[0] ?? null,
  };
}

function listQuery(filter: QuarantineFilter): string {
  const conditions = [
    ...equals("topic_id", filter.topicId),
    ...equals("topic", filter.mqttTopic),
    ...equals("device_id", filter.device),
    ...equals("reason", filter.reason),
  ];
  const where = conditions.length === 0 ? "" : ` WHERE ${conditions.join(" AND ")}`;
  return `SELECT ${identity} AS id, ${listColumns} FROM _quarantine${where} ORDER BY ingest_time DESC LIMIT ${filter.limit}`;
}

function showQuery(id: string): string {
  const [stream, partition, position, index] = id.split(".");
  const conditions = [
    ...equals("_stream", stream),
    ...equals("_partition", partition),
    ...equals("_position", position),
    `_index = ${Number(index)}`,
  ];
  const payload = "to_base64(payload) AS payload_base64, to_base64(message_id) AS message_id_base64";
  return `SELECT ${identity} AS id, ${listColumns}, ${payload} FROM _quarantine WHERE ${conditions.join(" AND ")} LIMIT 1`;
}

function equals(column: string, value: string | undefined): string[] {
  return value === undefined ? [] : [`${column} = '${value.replaceAll("'", "''")}'`];
}

function runQueryProcess(
  parts: { readonly config: GatewayConfig; readonly program: string },
  sql: string,
): Promise<unknown[]> {
  const { config, program } = parts;
  const args = [
    ...process.execArgv,
    program,
    "query",
    sql,
    "--data",
    config.folders.data,
    "--lake",
    config.lakeUrl,
    ...(config.configFile === null ? [] : ["--config", config.configFile]),
    "--json",
  ];
  const options = { timeout: timeoutMs, maxBuffer: answerMaxBytes, killSignal: "SIGKILL" as const };
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, options, (error, stdout) => {
      const answer = lastLineJson(stdout);
      if (answer?.rows) resolve(answer.rows);
      else reject(queryError(answer?.error?.message ?? error?.message ?? "no answer"));
    });
  });
}

function lastLineJson(stdout: string): { rows?: unknown[]; error?: { message?: string } } | null {
  try {
    return JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "") as { rows?: unknown[] };
  } catch {
    return null;
  }
}

function queryError(reason: string): GatewayError {
  return new GatewayError("CHILD_UNREACHABLE", `The quarantine can't be read: ${reason}`, {
    retryable: true,
  });
}
