import type { Logger } from "pino";
import { shownName } from "../../devices/protocol/shown-name.ts";
import type { WindowStatus } from "../window/dedup-window.ts";
import { deviceNumber } from "./id-facts.ts";

/** Names in one line of the log. */
const LOGGED_NAMES_MAX = 10;

/** The window's status, with the names of devices over their share as far as they have sent something since. */
export interface NamedWindowStatus extends WindowStatus {
  readonly namesOverShare: readonly string[];
}

/** The device that sends most of those with one number, by majority vote. */
interface Candidate {
  name: string;
  votes: number;
}

/** Tells when a window forgets ids before their time, and for which devices it does so because they send many more than others. */
export class WindowAlarm {
  readonly #logger: Logger;
  readonly #candidates = new Map<number, Candidate | null>();
  #status: WindowStatus | null = null;
  #told = new Set<string>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  get status(): NamedWindowStatus | null {
    return this.#status && { ...this.#status, namesOverShare: this.#names() };
  }

  /** A message of this device is filed: tells which name belongs to a number. */
  filed(deviceId: string): void {
    if (this.#candidates.size === 0) return;
    const number = deviceNumber(deviceId);
    const candidate = this.#candidates.get(number);
    if (candidate === undefined) return;
    if (candidate === null || candidate.votes === 0)
      this.#candidates.set(number, { name: deviceId, votes: 1 });
    else candidate.votes += candidate.name === deviceId ? 1 : -1;
  }

  observe(status: WindowStatus): void {
    this.#status = status;
    const over = new Set(status.devicesOverShare);
    for (const number of this.#candidates.keys()) if (!over.has(number)) this.#candidates.delete(number);
    for (const number of over) if (!this.#candidates.has(number)) this.#candidates.set(number, null);
    const told = new Set([...(status.isShort ? ["all"] : []), ...over].map(String).concat(this.#names()));
    const isNews = [...told].some((each) => !this.#told.has(each));
    this.#told = told;
    if (isNews) this.#tell(status);
  }

  #tell({ spanMs, ids, bytes, isShort, devicesOverShare }: WindowStatus): void {
    const facts = { event: "window.short", spanMs, ids, bytes };
    const names = this.#names();
    if (devicesOverShare.length > 0)
      this.#logger.warn(
        { ...facts, devices: devicesOverShare.length, names: names.slice(0, LOGGED_NAMES_MAX) },
        "devices send many more ids than others, and theirs are forgotten early: find out why, or give the window more memory",
      );
    if (isShort) this.#logger.warn(facts, "ids are forgotten early: give the window more memory");
  }

  #names(): string[] {
    return [...this.#candidates.values()].flatMap((candidate) =>
      candidate ? shownName(candidate.name) : [],
    );
  }
}
