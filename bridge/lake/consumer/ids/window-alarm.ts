import type { Logger } from "pino";
import { shownName } from "../../../../devices/protocol/shown-name.ts";
import type { WindowStatus } from "../../window/dedup-window.ts";
import { deviceNumber } from "./id-facts.ts";

/** Device names in one log line. */
const loggedNamesMax = 10;

/**
 * The window's status with the names of devices over their share, as far as they have sent messages since.
 */
export interface NamedWindowStatus extends WindowStatus {
  readonly namesOverShare: readonly string[];
}

/** The device that sends the most messages among those with one number, by majority vote. */
interface Candidate {
  name: string;
  votes: number;
}

/**
 * Logs when a window forgets ids early, and the devices for which it does so because they send many more ids
 * than others.
 */
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

  /** Call it for each filed message: the alarm learns the names of device numbers by it. */
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
        { ...facts, devices: devicesOverShare.length, names: names.slice(0, loggedNamesMax) },
        "some devices send many more ids than others, so their ids are forgotten early: find out why, or give the window more memory",
      );
    if (isShort) this.#logger.warn(facts, "the dedupe window forgets ids early: give it more memory");
  }

  #names(): string[] {
    return [...this.#candidates.values()].flatMap((candidate) =>
      candidate ? shownName(candidate.name) : [],
    );
  }
}
