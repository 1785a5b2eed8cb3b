import { setTimeout as delay } from "node:timers/promises";
import type { LakeAccess } from "../lake-access.ts";
import type { Strikable, Strike, StrikeEffect } from "../strike.ts";
import type { GatewayUnderTest, ParkedView } from "../under-test/gateway-under-test.ts";
import {
  type Action,
  appendEntry,
  commitInfo,
  type MetaData,
  type RecentLog,
  tableHeadAt,
} from "./foreign-log.ts";
import { writableBy } from "./foreign-writer.ts";

const pollMs = 100;
/** The first commit makes the first table. */
const firstTableTimeoutMs = 15_000;
/** Until the table's next rows are committed, also by a consumer that has to seed its window first. */
const parkTimeoutMs = 60_000;
/** A parked table is tried again every 30 s at the latest. */
const resumeTimeoutMs = 120_000;

const constraint = "proof_index";
/** Writers from this version on must check constraints, by PROTOCOL.md. */
const constraintWriter = 3;
const widenedColumn = "_index";

export interface UnfitTableOptions {
  readonly lake: LakeAccess;
  /** Tables that get rows all the time, in turn. */
  readonly tables: readonly string[];
  readonly gateways: readonly Pick<GatewayUnderTest, "status">[];
}

/**
 * Another program changes a table so that the gateways' rows no longer fit. The gateways park it, name the
 * command that brings it back, and show all rows after that command. The proof runs it as a person would,
 * without regard to what the proof itself did before.
 */
export class UnfitTable implements Strikable {
  readonly #options: UnfitTableOptions;
  #strikes = 0;

  constructor(options: UnfitTableOptions) {
    this.#options = options;
  }

  async strike({ fault, pauseMs }: Pick<Strike, "fault" | "pauseMs">): Promise<StrikeEffect> {
    const changed = await this.#change(fault);
    if (!changed) return { isInFlight: false, detail: "there was no table to write to" };
    const { table, version } = changed;
    const what = `version ${version} of ${table}`;
    const parked = await this.#untilParked(table);
    if (!parked) {
      await this.#restore(table, version - 1);
      return { isInFlight: false, detail: what, harm: `${table} was not parked, though ${fault} struck it` };
    }
    await delay(pauseMs);
    const wrong = await this.#followWayOut(parked);
    if (wrong !== null) return { detail: what, harm: wrong };
    if (await this.#untilResumed(table))
      return { isInFlight: true, detail: `${what}, parked until ${commandIn(parked.wayOut)}` };
    return {
      detail: what,
      harm: `${table} did not resume in ${resumeTimeoutMs / 1000} s after: ${parked.wayOut}`,
    };
  }

  async #change(fault: Strike["fault"]): Promise<{ table: string; version: number } | null> {
    const { lake, tables } = this.#options;
    for (
      const endMs = performance.now() + firstTableTimeoutMs;
      performance.now() < endMs;
      await delay(pollMs)
    )
      for (let turn = 0; turn < tables.length; turn++) {
        const table = tables[this.#strikes++ % tables.length] as string;
        const version = await appendEntry(lake, table, async (log) => unfitting(fault, log));
        if (version !== null) return { table, version };
      }
    return null;
  }

  async #untilParked(table: string): Promise<ParkedView | null> {
    for (const endMs = performance.now() + parkTimeoutMs; performance.now() < endMs; await delay(pollMs)) {
      const found = (await this.#parked()).find((each) => each.table === table);
      if (found) return found;
    }
    return null;
  }

  async #untilResumed(table: string): Promise<boolean> {
    for (const endMs = performance.now() + resumeTimeoutMs; performance.now() < endMs; await delay(pollMs)) {
      const statuses = await this.#statuses();
      const isTold = statuses.every((status) => status?.consumer);
      if (isTold && !(await this.#parked()).some((each) => each.table === table)) return true;
    }
    return false;
  }

  /**
   * Runs the command that `status` names as delta-rs would. Resolves with what is wrong with it; null = done.
   */
  async #followWayOut({ table, wayOut }: ParkedView): Promise<string | null> {
    const [, dropped] = /t\.alter\.drop_constraint\("([^"]+)"\)/.exec(wayOut) ?? [];
    const [, restored] = /t\.restore\((\d+), protocol_downgrade_allowed=True\)/.exec(wayOut) ?? [];
    if (dropped !== undefined) return await this.#dropConstraint(table, dropped);
    if (restored !== undefined) return await this.#restore(table, Number(restored));
    return `status names no way out for ${table} that can be taken: ${wayOut}`;
  }

  async #dropConstraint(table: string, name: string): Promise<string | null> {
    const key = `delta.constraints.${name}`;
    const version = await appendEntry(this.#options.lake, table, async ({ metaData }) => {
      const { [key]: expression, ...configuration } = metaData.configuration;
      if (expression === undefined) return null;
      return [commitInfo("DROP CONSTRAINT"), { metaData: { ...metaData, configuration } }];
    });
    return version === null ? `status names a constraint that ${table} does not have: ${name}` : null;
  }

  /** While a table is parked nobody adds files to it, so that only what is said of the table differs. */
  async #restore(table: string, version: number): Promise<string | null> {
    const head = await tableHeadAt(this.#options.lake, table, version);
    if (!head) return `status names a version that ${table} does not know: ${version}`;
    const { metaData, protocol } = head;
    await appendEntry(this.#options.lake, table, async () => [
      commitInfo("RESTORE"),
      { protocol },
      { metaData },
    ]);
    return null;
  }

  async #parked(): Promise<readonly ParkedView[]> {
    return (await this.#statuses()).flatMap((status) => status?.consumer?.tables?.parked ?? []);
  }

  #statuses() {
    return Promise.all(this.#options.gateways.map((gateway) => gateway.status()));
  }
}

/** The call of delta-rs in a way out. */
function commandIn(wayOut: string): string {
  return /t\.(?:alter\.)?\w+\([^)]*\)/.exec(wayOut)?.[0] ?? wayOut;
}

function unfitting(fault: Strike["fault"], log: RecentLog): readonly Action[] {
  const { metaData, protocol } = log;
  if (fault === "foreign-constraint") {
    const configuration = { ...metaData.configuration, [`delta.constraints.${constraint}`]: "_index >= 0" };
    return [
      commitInfo("ADD CONSTRAINT"),
      { protocol: writableBy(protocol, constraintWriter) },
      { metaData: { ...metaData, configuration } },
    ];
  }
  if (fault !== "foreign-widening") throw new TypeError(`${fault} leaves a table as it is`);
  return [
    commitInfo("CHANGE COLUMN"),
    {
      protocol: {
        minReaderVersion: 3,
        minWriterVersion: 7,
        readerFeatures: ["typeWidening"],
        writerFeatures: ["typeWidening", "appendOnly", "invariants", "changeDataFeed", "checkConstraints"],
      },
    },
    { metaData: { ...metaData, ...widened(metaData) } },
  ];
}

/** As Spark writes it. */
function widened({
  schemaString,
  configuration,
}: MetaData): Pick<MetaData, "schemaString" | "configuration"> {
  const schema = JSON.parse(schemaString) as { fields: { name: string; type: unknown; metadata: object }[] };
  const changes = [{ fromType: "integer", toType: "long" }];
  const fields = schema.fields.map((field) =>
    field.name === widenedColumn
      ? { ...field, type: "long", metadata: { ...field.metadata, "delta.typeChanges": changes } }
      : field,
  );
  return {
    schemaString: JSON.stringify({ ...schema, fields }),
    configuration: { ...configuration, "delta.enableTypeWidening": "true" },
  };
}
