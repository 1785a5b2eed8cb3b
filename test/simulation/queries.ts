import { BridgeError } from "../../bridge/errors.ts";
import type { CommitLog } from "../../bridge/lake/commit-log/commit-log.ts";
import { cutLiveRows, type LiveCut, type LiveRowsOptions } from "../../bridge/lake/landing/live-rows.ts";
import { readShownTable, type ShownTable } from "../../bridge/lake/query/shown-table.ts";
import { readRows } from "../support/json-lake.ts";
import type { LandedRow } from "../support/json-landing.ts";
import { placeOf } from "./live-record.ts";
import type { ProcessFactory } from "./process-factory.ts";
import type { Process, Scheduler } from "./scheduler.ts";
import type { SeededRandom } from "./seeded-random.ts";
import type { Violation } from "./violation.ts";
import type { World } from "./world.ts";

/** How a query cuts the lake; a broken variant does it otherwise. */
export type CutLake = (
  commitLog: CommitLog,
  options: LiveRowsOptions<ShownTable>,
) => Promise<LiveCut<ShownTable>>;

export interface QueriesOptions {
  readonly random: SeededRandom;
  readonly scheduler: Scheduler;
  readonly factory: ProcessFactory;
  readonly world: World;
  readonly faults: { readonly cutLake?: CutLake; readonly curiosity?: number };
}

/** Processes that read all tables as `query` does, one at a time. */
export class Queries {
  readonly failed: Violation[] = [];
  /** Queries that ended. */
  ended = 0;
  readonly #options: QueriesOptions;
  /** How often one is started, per step. */
  readonly #curiosity: number;
  #process: Process | null = null;
  #started = 0;

  constructor(options: QueriesOptions) {
    this.#options = options;
    this.#curiosity = options.faults.curiosity ?? options.random.next() * 0.003;
  }

  step(): void {
    const { random } = this.#options;
    if (this.#process && !this.#process.isDead) return;
    if (random.chance(this.#curiosity)) void this.#query();
  }

  async #query(): Promise<void> {
    const { scheduler, factory, faults } = this.#options;
    const { cutLake = cutLiveRows } = faults;
    const process = { name: `q${++this.#started}`, isDead: false, pausedUntilStep: 0 };
    this.#process = process;
    const { store, commitLog, checkpoints } = factory.openQuery(process);
    try {
      const cut = await cutLake(commitLog, {
        show: async ({ tables }) => {
          const shown = new Map<string, ShownTable>();
          for (const name of new Set([...tables.values()].map((table) => table.name)))
            shown.set(name, await readShownTable(store, name, commitLog.lakeId, checkpoints));
          return shown;
        },
      });
      this.#check(process, cut);
      this.ended += 1;
    } catch (error) {
      if (error instanceof BridgeError && error.retryable) return;
      const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.failed.push({ rule: "crashed", detail: `${process.name}: ${detail}` });
    } finally {
      scheduler.kill(process);
    }
  }

  /** Each row of each commit up to the cut is there exactly once. */
  #check({ name: process }: Process, { lake, shown, unsettled }: LiveCut<ShownTable>): void {
    const { live } = this.#options.world.lake;
    for (const [name, { log, fault }] of shown) {
      if (fault) continue;
      const { files = [], landed = [] } = unsettled.get(name) ?? {};
      const keys = new Set([...lake.tables].filter(([, table]) => table.name === name).map(([key]) => key));
      const rows = [
        ...(log?.files ?? []).map(({ path }) => path),
        ...files.map(({ path }) => `${name}/${path}`),
      ]
        .flatMap((path) => this.#rowsIn(path))
        .concat(
          landed.flatMap(({ file, lanes }) =>
            this.#rowsIn(file.path).filter(
              (row) =>
                lanes.includes(row.lane) && keys.has(row.reason === null ? row.topicId : "_quarantine"),
            ),
          ),
        );
      const found = new Map<string, number>();
      for (const row of rows) found.set(placeOf(row), (found.get(placeOf(row)) ?? 0) + 1);
      const wanted = live.rowsUpTo(name, lake.number);
      for (const place of new Set([...found.keys(), ...wanted.keys()])) {
        const [times, due] = [found.get(place) ?? 0, wanted.get(place) ?? 0];
        if (times === due) continue;
        const rule = times > due ? "live-twice" : "live-nowhere";
        const detail = `${process} reads ${place} of ${name} ${times} times, up to commit ${lake.number}`;
        this.failed.push({ rule, detail });
      }
    }
  }

  #rowsIn(path: string): LandedRow[] {
    const bytes = this.#options.world.bytesOf(path);
    return bytes ? (readRows(bytes) as LandedRow[]) : [];
  }
}
