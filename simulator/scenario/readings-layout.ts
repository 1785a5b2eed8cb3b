import { type Reading, type Samples, sampleBytes } from "./readings.ts";

/**
 * Members of a JSON object that hold readings, with `,` before each: a text of exact length and the positions
 * of its numbers.
 */
export interface ReadingsLayout {
  readonly text: string;
  readonly readings: readonly Reading[];
  readonly samples: Samples | null;
}

interface Sensor {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  readonly decimals: number;
  readonly sign: "" | "-";
}

/** The sensors of a device; the first ones that fit are sent. */
const sensors: readonly Sensor[] = [
  { name: "temperature", min: 1000, max: 4999, decimals: 2, sign: "" },
  { name: "humidity", min: 200, max: 989, decimals: 1, sign: "" },
  { name: "battery", min: 2800, max: 4199, decimals: 3, sign: "" },
  { name: "rssi", min: 400, max: 999, decimals: 1, sign: "-" },
  { name: "pressure", min: 100_000, max: 104_999, decimals: 2, sign: "" },
];

const samplesHead = ',"samples":[';
const shortHead = ',"t":';

/**
 * Lays out readings in exactly `bytes` bytes: as many sensors as fit, then a list of samples. The rest is
 * further digits of the last number. If not even one digit fits (1 to 5 bytes), the rest is white space,
 * which JSON allows there.
 */
export function layOutReadings(bytes: number): ReadingsLayout {
  const layout = { text: "", readings: [] as Reading[], samples: null as Samples | null };
  for (const [channel, sensor] of sensors.entries()) {
    const head = `,"${sensor.name}":${sensor.sign}`;
    const digits = String(sensor.max).length;
    const text =
      head +
      "0".repeat(digits - sensor.decimals) +
      (sensor.decimals > 0 ? "." : "") +
      "0".repeat(sensor.decimals);
    if (layout.text.length + text.length > bytes) break;
    layout.readings.push({
      at: layout.text.length + head.length,
      channel,
      min: sensor.min,
      span: sensor.max - sensor.min + 1,
      digits,
      decimals: sensor.decimals,
      extraDigits: 0,
    });
    layout.text += text;
  }
  if (layout.readings.length === sensors.length) addSamples(layout, bytes);
  return fill(layout, bytes);
}

function addSamples(layout: { text: string; samples: Samples | null }, bytes: number): void {
  const room = bytes - layout.text.length - samplesHead.length - 1;
  const count = Math.floor((room + 1) / (sampleBytes + 1));
  if (count < 1) return;
  layout.samples = { at: layout.text.length + samplesHead.length, count };
  layout.text += `${samplesHead}${Array.from({ length: count }, () => "00.00").join(",")}]`;
}

function fill(
  layout: { text: string; readings: Reading[]; samples: Samples | null },
  bytes: number,
): ReadingsLayout {
  const missing = bytes - layout.text.length;
  if (missing === 0) return layout;
  const last = layout.readings.at(-1);
  if (layout.samples || !last) {
    if (layout.samples || missing <= shortHead.length)
      return { ...layout, text: layout.text + " ".repeat(missing) };
    return {
      ...layout,
      text: shortHead + "0".repeat(missing - shortHead.length),
      readings: [wholeNumber(shortHead.length, missing - shortHead.length)],
    };
  }
  layout.readings[layout.readings.length - 1] = { ...last, extraDigits: missing };
  return { ...layout, text: layout.text + "0".repeat(missing) };
}

/** A reading of `digits` digits that does not begin with 0. */
export function wholeNumber(at: number, digits: number): Reading {
  return { at, channel: 0, min: 1, span: 9, digits: 1, decimals: 0, extraDigits: digits - 1 };
}
