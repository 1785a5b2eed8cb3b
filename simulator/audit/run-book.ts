import { Bitmap } from "../ledger/bitmap.ts";
import type { RunLedger } from "../ledger/ledger-reader.ts";
import { MessagePlan } from "../scenario/message-plan.ts";
import type { AuditExamples } from "./audit-examples.ts";
import { ExpiredMessages } from "./expired-messages.ts";
import type { Expiry } from "./expiry.ts";
import type { FiledRow } from "./filed-row.ts";
import { MessageFinder } from "./message-finder.ts";
import { ReuseBook } from "./reuse-book.ts";
import { RowOrder } from "./row-order.ts";
import type { PlaceOrder } from "./row-places.ts";
import type { RunCounts } from "./run-counts.ts";

/** QoS 0, 1 and 2. */
const qosLevels = 3;

/** The rows of one run, checked against its ledger and against the messages that its seed makes. */
export class RunBook {
  readonly ledger: RunLedger;
  /** The prefix of all ids of the run. */
  readonly idPrefix: Buffer;
  readonly finder: MessageFinder;
  readonly #plan: MessagePlan;
  readonly #stored: Bitmap;
  readonly #quarantined: Bitmap;
  /** Of those: quarantined for their content, not for an id that was used before. */
  readonly #faulty: Bitmap;
  readonly #reuse: ReuseBook;
  readonly #expired: ExpiredMessages;
  #mended = 0;
  #duplicated = 0;
  #phantom = 0;
  #altered = 0;
  #misplaced = 0;
  #anonymousCopies = 0;
  /** By message; NaN = the message is not filed, or the row does not say. */
  readonly #places: Float64Array;

  constructor(ledger: RunLedger) {
    this.ledger = ledger;
    this.#plan = new MessagePlan(ledger.header.scenario);
    this.#stored = new Bitmap(this.#plan.total);
    this.#quarantined = new Bitmap(this.#plan.total);
    this.#faulty = new Bitmap(this.#plan.total);
    this.finder = new MessageFinder(this.#plan, ledger.header.startedAtMs);
    const filed = { stored: this.#stored, quarantined: this.#quarantined };
    this.#reuse = new ReuseBook(this.#plan, ledger, filed);
    this.#expired = new ExpiredMessages({ plan: this.#plan, ledger, reuse: this.#reuse, ...filed });
    this.#places = new Float64Array(this.#plan.total).fill(Number.NaN);
    this.idPrefix = Buffer.from(`${ledger.header.scenario.runId}.`, "latin1");
  }

  /** Forgets all rows. */
  reset(): void {
    this.#stored.clear();
    this.#quarantined.clear();
    this.#faulty.clear();
    this.#mended = 0;
    this.#reuse.reset();
    this.#duplicated = 0;
    this.#phantom = 0;
    this.#altered = 0;
    this.#misplaced = 0;
    this.#anonymousCopies = 0;
    this.#places.fill(Number.NaN);
  }

  /** Takes the bounds of retention of a look at the lake. */
  look(expiry: Expiry): void {
    this.#expired.look(expiry);
  }

  /** How many messages the run has at most. */
  get messages(): number {
    return this.#plan.total;
  }

  /** Adds the messages that are in a table or in quarantine. */
  addFiledTo(messages: Bitmap): void {
    messages.addAll(this.#stored);
    messages.addAll(this.#quarantined);
  }

  /** Messages that are in a table or in quarantine. */
  get filed(): number {
    return this.#stored.count + this.#quarantined.count - this.#mended;
  }

  /** Takes a row whose id has this run's prefix. The id begins at `idAt` of `idSource`. */
  judge(row: FiledRow, idSource: Uint8Array, idAt: number, examples: AuditExamples): void {
    const index = this.finder.indexOf(row, idSource, idAt);
    if (index === null || !this.ledger.mayHaveBeenSent(index)) {
      this.#phantom++;
      const id = Buffer.from(idSource.subarray(idAt, idAt + this.#plan.names.idBytes)).toString("latin1");
      examples.add(
        "phantom",
        `${id} in ${row.file}: ${index === null ? "the run has no such message" : "the message was never sent"}`,
      );
      return;
    }
    this.#count(row, index, examples);
    if (!row.isFound) {
      this.#misplaced++;
      examples.add(
        "misplaced",
        `${this.messageId(index)} in ${row.file}: queries by its hour or device skip the file`,
      );
    }
    const faults = this.#differences(row, index);
    if (faults.length === 0) return;
    this.#altered++;
    examples.add("altered", `${this.messageId(index)} in ${row.file}: ${faults.join("; ")}`);
  }

  messageId(index: number): string {
    return this.#plan.messageId(index).toString("latin1");
  }

  deviceId(index: number): string {
    return this.#plan.names.deviceId(this.#plan.device(index));
  }

  /** Acknowledged messages without any row that retention may have removed, in order. */
  *lost(): Generator<number> {
    for (const index of this.#absent()) if (!this.#expired.has(index)) yield index;
  }

  /** True if the message is acknowledged, has no row, and retention may have removed it. */
  isExpired(index: number): boolean {
    return this.#expired.has(index);
  }

  /** Acknowledged messages without any row, in order. */
  #absent(): Generator<number> {
    return this.ledger.acked.without(this.#stored, this.#quarantined);
  }

  /** Further messages of one id in one table, in order. */
  misfiled(): Generator<number> {
    return this.#reuse.duplicated();
  }

  /** Messages that are quarantined without a reason. */
  *wronglyQuarantined(): Generator<number> {
    const { mayHave } = this.#expired;
    for (const index of this.#quarantined.without(this.#stored))
      if (!this.#plan.faults.poison(index) && !this.#reuse.belongsInQuarantine(index, mayHave)) yield index;
  }

  /**
   * The position of messages relative to earlier published ones of their device. Only for acknowledged
   * messages that were published once, in turn, on the device's connection. Each quality of service is judged
   * separately.
   */
  *turns(order: PlaceOrder): Generator<readonly [index: number, turn: "before" | "unknown"]> {
    const { devices, total } = this.#plan;
    const rows = new RowOrder(order, devices * qosLevels);
    for (let index = 0; index < total; index++) {
      if (!this.#hasTurn(index) || !(this.#stored.has(index) || this.#quarantined.has(index))) continue;
      // Consecutive messages of a device are `devices` indexes apart.
      const lane = (index % devices) * qosLevels + this.#plan.qos(index);
      const turn = rows.next(lane, this.#places[index] as number);
      if (turn !== "after") yield [index, turn];
    }
  }

  #hasTurn(index: number): boolean {
    const { acked, again, gaveUp } = this.ledger;
    if (!acked.has(index) || again.has(index) || gaveUp.has(index)) return false;
    const role = this.#plan.role(index);
    return role === "plain" || role === "reused";
  }

  counts(order: PlaceOrder): RunCounts {
    const acked = this.ledger.acked.count;
    let [lost, expired] = [0, 0];
    for (const index of this.#absent())
      if (this.#expired.has(index)) expired++;
      else lost++;
    const { delivered } = this.ledger;
    const turns = { before: 0, unknown: 0 };
    for (const [, turn] of this.turns(order)) turns[turn]++;
    return {
      sent: this.ledger.sent.count,
      acked,
      stored: this.#stored.count,
      quarantined: this.#quarantined.count,
      mended: this.#mended,
      plannedPoison: this.#plannedPoison(),
      plannedReuse: this.#reuse.planned(this.#expired.mayHave),
      lost,
      expired,
      duplicated: this.#duplicated + [...this.#reuse.duplicated()].length,
      phantom: this.#phantom,
      altered: this.#altered,
      misplaced: this.#misplaced,
      disordered: turns.before,
      unordered: turns.unknown,
      unackedStored: this.filed - (acked - lost - expired),
      delivered: delivered.count,
      undelivered: [...delivered.without(this.#stored, this.#quarantined)].filter(
        (index) => !this.#expired.mayHave(index),
      ).length,
      anonymousCopies: this.#anonymousCopies,
    };
  }

  #count(row: FiledRow, index: number, examples: AuditExamples): void {
    const isKnown = this.#stored.has(index) || this.#quarantined.has(index);
    const isMended = isKnown && this.#isMended(row, index);
    if (!isKnown || isMended) {
      (row.isQuarantined ? this.#quarantined : this.#stored).add(index);
      if (row.isFaulty) this.#faulty.add(index);
      if (isMended) this.#mended++;
      this.#places[index] = row.place;
      if (!row.isQuarantined) this.#reuse.stored(index, row.table);
    } else if (row.messageId === null && this.#mayBeAnonymous(index)) {
      this.#anonymousCopies++;
      // Their order is not known.
      this.#places[index] = Number.NaN;
    } else {
      this.#duplicated++;
      examples.add("duplicated", `${this.messageId(index)} again in ${row.file}`);
    }
  }

  /**
   * A message that its topic refused, and accepted when it was sent again. Tables and quarantine are read in
   * any order.
   */
  #isMended(row: FiledRow, index: number): boolean {
    if (!this.ledger.again.has(index) || this.#plan.faults.poison(index)) return false;
    if (row.isQuarantined) return row.isFaulty && this.#stored.has(index) && !this.#quarantined.has(index);
    return this.#faulty.has(index) && !this.#stored.has(index);
  }

  #mayBeAnonymous(index: number): boolean {
    return this.#plan.shape(index).format === "raw" || this.#plan.faults.poison(index) !== null;
  }

  #differences(row: FiledRow, index: number): string[] {
    const plan = this.#plan;
    const faults: string[] = [];
    row.addFaults(faults, plan.typedValues(index));
    const poison = plan.faults.poison(index);
    const { startedAtMs } = this.ledger.header;
    const deviceId = this.deviceId(index);
    if (row.deviceId !== deviceId) faults.push(`device_id is ${String(row.deviceId)}, not ${deviceId}`);
    if (row.topic !== plan.topicName(index)) faults.push(`topic is ${String(row.topic)}`);
    if (!this.finder.isPayload(row, index)) faults.push("the payload differs from the sent one");
    if (row.isQuarantined) return faults;
    if (poison) faults.push("it is filed in a table, though it cannot be decoded");
    // A raw message has neither an id nor a time: its row has the arrival time.
    if (plan.shape(index).format === "raw") return faults;
    if (row.messageId === null) faults.push("message_id is missing");
    const eventTimeUs = plan.eventTimeUs(index, startedAtMs);
    if (row.eventTimeUs !== eventTimeUs)
      faults.push(`event_time is ${Number(row.eventTimeUs) / 1000} ms, not ${eventTimeUs / 1000} ms`);
    return faults;
  }

  #plannedPoison(): number {
    if (!this.#plan.faults.hasPoison) return 0;
    let planned = 0;
    for (let index = 0; index < this.ledger.horizon; index++) {
      if (!this.#plan.faults.poison(index) || this.#expired.has(index)) continue;
      if (this.ledger.acked.has(index) || this.#quarantined.has(index) || this.#stored.has(index)) planned++;
    }
    return planned;
  }
}
