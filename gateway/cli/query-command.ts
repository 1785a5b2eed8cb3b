import { accessSync, constants, existsSync } from "node:fs";
import type { Command } from "commander";
import { BridgeError } from "../../bridge/config.ts";
import type { ObjectStore, QueryProgress } from "../../bridge/lake/index.ts";
import { GatewayError } from "../errors.ts";
import { listText } from "../input/input-faults.ts";
import { lakeKinds } from "../lakes/lake-kinds.ts";
import type { GatewayConfig } from "../settings/gateway-config.ts";
import { type CommandEnvironment, runAction } from "./command-context.ts";
import { addDataOptions, addLakeOption, type ConfigFlags, loadCommandConfig } from "./config-options.ts";
import { ProgressBar } from "./progress-bar.ts";
import { withScratchFolder } from "./scratch-folder.ts";
import { textTable } from "./text-table.ts";

const formats = ["table", "csv", "json"] as const;
type Format = (typeof formats)[number];

type Flags = ConfigFlags & { readonly json?: boolean; readonly format?: string };

interface QueryResult {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly unknown[])[];
}

export function addQueryCommand(program: Command, environment: CommandEnvironment): void {
  const command = addLakeOption(
    addDataOptions(
      program.command("query <sql>").description("SQL over the tables' current snapshots, read-only"),
    ),
  ).option("--format <format>", "table, csv or json (default: table)");
  runAction<Flags>(command, environment, async ({ output, flags, args }) => {
    const format = formatOf(flags.format);
    const { config } = loadCommandConfig(flags, environment.variables);
    refuseMissingFolder(config);
    const bar = new ProgressBar("{bar} {value}/{total} files · {mib} MiB downloaded");
    const result = await withLakeStore(config, async (store) => {
      const { loadParquet } = await import("../../bridge/lake/index.ts");
      const { runQuery } = await loadParquet();
      const onProgress: QueryProgress = ({ files, filesTotal, bytes }) =>
        bar.show(files, filesTotal, { mib: (bytes / 2 ** 20).toFixed(1) });
      return await runQuery(args[0] ?? "", { store, onProgress });
    }).finally(() => bar.stop());
    output.result({ columns: result.columns, rows: objectsOf(result) }, textOf(result, format));
    return undefined;
  });
}

/** A mistyped folder would be an empty lake. */
function refuseMissingFolder({ folders: { lake } }: GatewayConfig): void {
  if (lake === null || existsSync(lake)) return;
  const lakeFlags = lakeKinds.map(({ urlForm }) => `--lake ${urlForm}`).join(" or ");
  throw new BridgeError(
    "LAKE_MISSING",
    `There is no lake in ${lake}: name it with ${lakeFlags}, or the data folder with --data.`,
    { retryable: false },
  );
}

/**
 * Copies of a remote lake are kept in the data folder for the next query, if the folder is writable.
 * Otherwise no copy stays on this machine. A lake in a folder is only read. Data that does not fit into
 * memory goes to the system's folder for temporary files (`TMPDIR`).
 */
async function withLakeStore<Result>(
  config: GatewayConfig,
  use: (store: ObjectStore) => Promise<Result>,
): Promise<Result> {
  const { openLakeStore } = await import("../lakes/open-lake-store.ts");
  if (config.folders.lake === null && isWritable(config.folders.data))
    return await use(await openLakeStore(config, { access: "read" }));
  return await withScratchFolder(async (folder) => {
    const own = config.folders.lake === null ? { filesFolder: folder } : { stagingFolder: folder };
    return await use(await openLakeStore(config, { access: "read", ...own }));
  });
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function formatOf(text: string | undefined): Format {
  const format = formats.find((known) => known === (text ?? "table"));
  if (format) return format;
  throw new GatewayError("USAGE_INVALID", `--format ${text}: choose ${listText(formats)}.`, {
    retryable: false,
  });
}

function objectsOf({ columns, rows }: QueryResult): Record<string, unknown>[] {
  return rows.map((row) => Object.fromEntries(columns.map((column, index) => [column, row[index]])));
}

function textOf(result: QueryResult, format: Format): string {
  if (format === "json") return JSON.stringify(objectsOf(result), null, 2);
  if (format === "csv") return csvText(result);
  const count = result.rows.length === 1 ? "1 row" : `${result.rows.length} rows`;
  return `${textTable(result.columns, result.rows)}\n(${count})`;
}

/** RFC 4180. */
function csvText({ columns, rows }: QueryResult): string {
  return [columns, ...rows].map((row) => row.map(csvField).join(",")).join("\r\n");
}

function csvField(value: unknown): string {
  if (value === null || value === undefined) return "";
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
