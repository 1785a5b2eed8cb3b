import assert from "node:assert/strict";
import { test } from "node:test";
import pino from "pino";
import { deviceNumber } from "../../../../../bridge/lake/consumer/ids/id-facts.ts";
import { WindowAlarm } from "../../../../../bridge/lake/consumer/ids/window-alarm.ts";

test("the long name of a device that floods the window is cut in log and status", () => {
  const lines: { names?: string[] }[] = [];
  const alarm = new WindowAlarm(pino({}, { write: (line: string) => void lines.push(JSON.parse(line)) }));
  const name = "d".repeat(65_535);
  const status = { ids: 1, bytes: 1, spanMs: 1, epochs: 0, isShort: false };
  const observe = () => alarm.observe({ ...status, devicesOverShare: [deviceNumber(name)] });
  observe();
  alarm.filed(name);
  observe();
  const cut = `${"d".repeat(128)}… (65535 characters)`;
  assert.deepEqual(alarm.status?.namesOverShare, [cut]);
  assert.deepEqual(lines.at(-1)?.names, [cut]);
});
