import assert from "node:assert/strict";
import { test } from "node:test";
import { durationMsOf, durationText } from "../../../../gateway/input/duration.ts";

test("durations of the command line are whole numbers with a unit", () => {
  const known = { "90s": 90_000, "1m": 60_000, "12h": 43_200_000, "7d": 604_800_000 };
  for (const [text, ms] of Object.entries(known)) assert.equal(durationMsOf(text), ms, text);
  for (const text of ["", "7", "d", "1.5h", "-1h", "1 h", "7D", "1w", "1y", "1h30m"])
    assert.equal(durationMsOf(text), null, text);
});

test("they are shown in the largest unit that fits", () => {
  const shown = { "7d": 604_800_000, "1h": 3_600_000, "90m": 5_400_000, "90s": 90_000, "1500ms": 1_500 };
  for (const [text, ms] of Object.entries(shown)) assert.equal(durationText(ms), text);
});
