import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { MessagePlan } from "../../simulator/scenario/message-plan.ts";
import { type LandedRow, type LandOptions, land } from "./audited-landing.ts";
import { type AuditedRun, auditedRun, startedAtMs } from "./audited-run.ts";
import type { LoggedFile } from "./logged-file.ts";

export const hourMs = 3_600_000;

/** A lake of three commits, in which rows wait in every lane. */
export interface LandedRun extends AuditedRun {
  /** The file that settles the even rows of the first commit. */
  readonly settled: LoggedFile;
  /** The table file of the second commit, which its table does not show. */
  readonly waiting: LoggedFile;
}

/** What a test makes wrong while the lake is written. */
export interface LandedLies {
  /** A row of the run, by index. */
  readonly row?: (row: LandedRow, index: number) => LandedRow;
  /** The landing file of the second commit. */
  readonly second?: LandOptions;
  /** Rows that the settling file lacks or has; default: those of the first commit. */
  readonly settled?: (rows: readonly LandedRow[]) => readonly LandedRow[];
  /** Up to which commit the table's log says that it is settled. */
  readonly settles?: Readonly<Record<string, number>>;
  /** The table's log does not have the settling file yet. */
  readonly isUnsettled?: boolean;
}

const types = { whole: "long", real: "double", flag: "boolean", moment: "timestamp", label: "string" };

/** Version 2 takes event times of the last ten minutes only. */
function define({ lake }: AuditedRun): void {
  const columns = Object.entries(types).map(([name, type]) => ({ name, type }));
  mkdirSync(join(lake.folder, "_topics", "telemetry"), { recursive: true });
  for (const [version, bounds] of [{}, { eventPastMs: 600_000 }].entries())
    writeFileSync(
      join(lake.folder, "_topics", "telemetry", `${version + 1}.json`),
      JSON.stringify({ name: "telemetry", columns, ...bounds }),
    );
}

function landedRow(plan: MessagePlan, row: LandedRow, index: number): LandedRow {
  const values = plan.typedValues(index);
  if (!values || row.reason !== undefined) return row;
  const { whole, real, flag, moment, label } = values;
  const exact = [whole, real, flag, moment].map(({ filed }) => String(filed));
  const sql = (value: unknown) => (value === null ? "NULL" : String(value));
  return {
    ...row,
    values: `[${exact.join(",")},${JSON.stringify(label.filed)}]`,
    typed: {
      whole: sql(whole.filed),
      real: real.filed === null ? "NULL" : `'${real.filed}'::DOUBLE`,
      flag: sql(flag.filed),
      moment: moment.filed === null ? "NULL" : `make_timestamptz(${moment.filed}::BIGINT)`,
      label: `'${label.filed}'`,
    },
  };
}

/** Rows from 100 on are late, those from 150 on came an hour later and are flagged as outside. */
function timed(row: LandedRow, index: number): LandedRow {
  if (index < 100 || index >= 200) return row;
  const ingestTimeMs = startedAtMs + hourMs + 61_000;
  return index < 150 ? { ...row, ingestTimeMs } : { ...row, ingestTimeMs, version: 2, isOutside: true };
}

export async function landedRun(lies: LandedLies = {}): Promise<LandedRun> {
  const run = await auditedRun({ scenario: { mix: { typed: 0.5 }, faults: { poison: 0.02 } } });
  const { lake, plan } = run;
  define(run);
  lake.keepCommitLog();
  const rows = run.rows
    .map((row, index) => landedRow(plan, { ...row, table: "telemetry", streamTimeMs: startedAtMs }, index))
    .map(timed)
    .map(lies.row ?? ((row) => row));
  const first = rows.slice(0, 100);
  await land(lake, first);
  const plain = rows.slice(200, 300).filter(({ reason }) => reason === undefined);
  const others = rows.slice(200, 300).filter(({ reason }) => reason !== undefined);
  const waiting = await lake.write("telemetry", plain);
  await land(lake, [...rows.slice(100, 200), ...others], {
    direct: { telemetry: [waiting] },
    ...lies.second,
  });
  await land(lake, rows.slice(300));
  const ofTable = first.filter(({ reason }) => reason === undefined);
  const settled = await lake.write("telemetry", (lies.settled ?? ((all) => all))(ofTable) as LandedRow[]);
  if (!lies.isUnsettled) lake.commit("telemetry", { adds: [settled], settles: lies.settles ?? { even: 1 } });
  return { ...run, settled, waiting };
}
