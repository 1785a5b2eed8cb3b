import assert from "node:assert/strict";
import { test } from "node:test";
import { commandFlags, completeCommands } from "../../../../gateway/settings/command-flags.ts";

const here = { configFile: null, data: "/srv/tide gate", streamUrl: null, lakeUrl: null };

test("commands in texts get the flags that name this gateway, quoted for a shell, once", () => {
  const flags = commandFlags({
    ...here,
    streamUrl: "redis://gw:secret@redis:6379/0?prefix=a&cluster=true",
    lakeUrl: "file:/lake",
  });
  const text = "Stop, run `tidegate stream new`, or `tidegate stream accept-gap 12`.";
  const complete = completeCommands(text, flags);
  assert.equal(
    complete,
    "Stop, run `tidegate stream new --data '/srv/tide gate' --stream 'redis://gw:***@redis:6379/0?prefix=a&cluster=true' --lake file:/lake`, " +
      "or `tidegate stream accept-gap 12 --data '/srv/tide gate'`.",
  );
  assert.equal(completeCommands(complete, flags), complete);
});

test("the shown command creates a missing stream, and a path may contain any character", () => {
  const flags = commandFlags({ ...here, data: "/srv/$&", streamUrl: "kinesis://eu-central-1/fleet" });
  const complete = completeCommands("Run `tidegate stream new --create`.", flags);
  assert.equal(
    complete,
    "Run `tidegate stream new --data '/srv/$&' --stream kinesis://eu-central-1/fleet --create`.",
  );
  assert.equal(completeCommands(complete, flags), complete);
});

test("settings of the configuration file are not repeated as flags", () => {
  const flags = commandFlags({ ...here, configFile: "/etc/tidegate.toml", data: "/data" });
  assert.equal(flags.working, " --data /data --config /etc/tidegate.toml");
});
