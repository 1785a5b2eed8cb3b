/** An index of a message in its block is below this. */
const indexesMax = 2 ** 20;
/** Blocks take 30 to 80 bytes each. */
const blocksMax = 4_000_000;

/**
 * Where a row stood in a stream, as a number: of its block (in the order found), and of the message in the
 * block. NaN = the row does not say; −1 = there are more blocks than are remembered.
 */
export type RowPlace = number;

/** The columns of a row with its place and time. */
export interface PlaceColumns {
  readonly stream: unknown;
  readonly partition: unknown;
  readonly position: unknown;
  readonly index: unknown;
  readonly timeUs: unknown;
}

/** A stream, with the first and the last commit that moved its partitions. */
export interface StreamSpan {
  readonly id: string;
  readonly first: number;
  readonly last: number;
}

/** Places in order. */
export interface PlaceOrder {
  /**
   * Rises from place to place of a stream, and from era to era. NaN = the time at which the stream was read
   * is unknown.
   */
  rank(place: RowPlace): number;
  /** Number of the place's stream. */
  stream(place: RowPlace): number;
  /**
   * Streams of one era were read side by side, so their ranks are not comparable. By number of the stream.
   */
  readonly eras: readonly number[];
}

/** Numbers by position. */
type Blocks = Map<string | number, number>;
type Partitions = Map<string, Blocks>;

/** Numbers the blocks of streams as rows name them. Tells afterwards which block came first. */
export class RowPlaces {
  readonly #streams = new Map<string, Partitions>();
  readonly #blocksMax: number;
  /** Stream time by block, µs; NaN = its rows do not say. */
  readonly #times: number[] = [];
  #unequal = 0;
  #count = 0;

  constructor(max = blocksMax) {
    this.#blocksMax = max;
  }

  /** `timeUs`: the row's stream time; any other type = the row does not say. */
  place(place: PlaceColumns): RowPlace {
    const { stream, partition, position, index, timeUs } = place;
    if (typeof stream !== "string" || typeof partition !== "string" || typeof position !== "string")
      return Number.NaN;
    if (typeof index !== "number" || index < 0 || index >= indexesMax) return Number.NaN;
    const blocks = this.#blocksOf(stream, partition);
    const key = keyOf(position);
    let block = blocks.get(key);
    if (block === undefined) {
      if (this.#count === this.#blocksMax) return -1;
      block = this.#count++;
      blocks.set(key, block);
      this.#times.push(typeof timeUs === "number" ? timeUs : Number.NaN);
    } else if (typeof timeUs === "number" && timeUs !== this.#times[block]) this.#unequal++;
    return block * indexesMax + index;
  }

  #blocksOf(stream: string, partition: string): Blocks {
    const partitions = this.#streams.get(stream) ?? new Map<string, Blocks>();
    if (partitions.size === 0) this.#streams.set(stream, partitions);
    const blocks = partitions.get(partition) ?? new Map<string | number, number>();
    if (blocks.size === 0) partitions.set(partition, blocks);
    return blocks;
  }

  clear(): void {
    this.#streams.clear();
    this.#times.length = 0;
    this.#unequal = 0;
    this.#count = 0;
  }

  /**
   * Counts faults of the stream time that expiry relies on. Faults: rows of one block differ, a block's time
   * is below that of an earlier one, or a partition's time ran for longer than `passedMs`.
   */
  mistimed(passedMs: number): number {
    let count = this.#unequal;
    for (const partitions of this.#streams.values())
      for (const blocks of partitions.values()) {
        let [first, last] = [Number.NaN, Number.NaN];
        for (const [, block] of sorted(blocks)) {
          const time = this.#times[block] as number;
          if (Number.isNaN(time)) continue;
          if (time < last) count++;
          else last = time;
          if (Number.isNaN(first)) first = time;
        }
        if (last - first > passedMs * 1000) count++;
      }
    return count;
  }

  /**
   * The order of all places: by stream, as the commit log names them; by partition; by position; by index.
   * Partitions from split or merged shards have higher numbers and come later.
   */
  order(spans: readonly StreamSpan[]): PlaceOrder {
    const known = this.#streams.size === 1 ? [...this.#streams.keys()] : spans.map(({ id }) => id);
    const ranks = new Float64Array(this.#count).fill(Number.NaN);
    const streams = new Uint16Array(this.#count);
    let rank = 0;
    for (const [number, id] of known.entries())
      for (const block of inOrder(this.#streams.get(id) ?? new Map())) {
        ranks[block] = rank++;
        streams[block] = number;
      }
    return {
      rank: (place) => {
        const block = Math.floor(place / indexesMax);
        return (ranks[block] ?? Number.NaN) * indexesMax + (place - block * indexesMax);
      },
      stream: (place) => streams[Math.floor(place / indexesMax)] ?? 0,
      eras: erasOf(spans),
    };
  }
}

/** Numbers need less memory than texts, if they are exact. */
function keyOf(position: string): string | number {
  const number = Number(position);
  return Number.isSafeInteger(number) && position !== "" ? number : position;
}

function* inOrder(partitions: Partitions): Generator<number> {
  const numbered = [...partitions].sort(([left], [right]) => comparePositions(left, right));
  for (const [, blocks] of numbered) for (const [, block] of sorted(blocks)) yield block;
}

function sorted(blocks: Blocks): (readonly [string | number, number])[] {
  return [...blocks].sort(([left], [right]) => compareKeys(left, right));
}

function compareKeys(left: string | number, right: string | number): number {
  if (typeof left === "number" && typeof right === "number") return left - right;
  return comparePositions(String(left), String(right));
}

/** By stream: the number of its era. An era begins after the last commit of the one before. */
function erasOf(spans: readonly StreamSpan[]): number[] {
  let [era, lastOfEra] = [0, 0];
  return spans.map(({ first, last }) => {
    if (first > lastOfEra) era++;
    lastOfEra = Math.max(lastOfEra, last);
    return era;
  });
}

/** Positions are numbers of any length, or two of them around a dash (Redis). Compared part by part. */
export function comparePositions(left: string, right: string): number {
  const [leftParts, rightParts] = [left.split("-"), right.split("-")];
  for (let at = 0; at < Math.max(leftParts.length, rightParts.length); at++) {
    const order = compareDigits(leftParts[at] ?? "", rightParts[at] ?? "");
    if (order !== 0) return order;
  }
  return 0;
}

function compareDigits(left: string, right: string): number {
  const [a, b] = [left.replace(/^0+/, ""), right.replace(/^0+/, "")];
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}
