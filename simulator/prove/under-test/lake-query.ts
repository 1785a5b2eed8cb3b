import { execFile } from "node:child_process";

export interface LakeQueryOptions {
  readonly program: string;
  readonly lakeUrl: string;
  /** Of processes that use the lake's server. */
  readonly environment: Readonly<Record<string, string>>;
  /** One that is not there: nothing of an earlier query is used. */
  readonly dataFolder: string;
}

const outputBytesMax = 64 * 1024 ** 2;

/** The rows of `tidegate query`, in a process of its own. */
export function lakeQuery(options: LakeQueryOptions): (sql: string) => Promise<Record<string, unknown>[]> {
  const { program, lakeUrl, environment, dataFolder } = options;
  const place = ["--data", dataFolder, "--lake", lakeUrl, "--json"];
  return (sql) =>
    new Promise((resolve, reject) => {
      execFile(
        process.execPath,
        [...process.execArgv, program, "query", sql, ...place],
        { env: { ...process.env, ...environment }, maxBuffer: outputBytesMax },
        (error, stdout, stderr) => {
          if (error) reject(new Error(`the lake could not be asked: ${stderr || stdout || error.message}`));
          else resolve((JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "") as QueryAnswer).rows);
        },
      );
    });
}

interface QueryAnswer {
  readonly rows: Record<string, unknown>[];
}
