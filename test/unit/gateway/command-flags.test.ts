import assert from "node:assert/strict";
import { test } from "node:test";
import { commandFlags, completeCommands } from "../../../gateway/settings/command-flags.ts";

const here = { configFile: null, data: "/srv/tide gate", streamUrl: null, lakeUrl: null };

test("commands in texts are given the flags with which they mean this gateway, ready for a shell, once", () => {
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

test("a stream that is missing is created by the command that is shown, and a path may hold any character", () => {
  const flags = commandFlags({ ...here, data: "/srv/$&", streamUrl: "kinesis://eu-central-1/fleet" });
  const complete = completeCommands("Run `tidegate stream new --create`.", flags);
  assert.equal(
    complete,
    "Run `tidegate stream new --data '/srv/$&' --stream kinesis://eu-central-1/fleet --create`.",
  );
  assert.equal(completeCommands(complete, flags), complete);
});

test("what the configuration file says is left to the file", () => {
  const flags = commandFlags({ ...here, configFile: "/etc/tidegate.toml", data: "/data" });
  assert.equal(flags.working, " --data /data --config /etc/tidegate.toml");
});
