import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Acknowledgements } from "../../../devices/acknowledgements.ts";
import { DeviceError } from "../../../devices/errors.ts";
import { Outbox } from "../../../devices/outbox/outbox.ts";
import { RejectedStore } from "../../../devices/outbox/rejected-store.ts";
import { SendWindow } from "../../../devices/send-window.ts";
import { Sender, type SendingConnection } from "../../../devices/sender.ts";
import { withFolder } from "../../support/devices/power-cut.ts";

const limits = {
  inFlightMax: 4,
  inFlightMaxBytes: 1_000,
  maxAheadMessages: 256,
  refusalsMax: 5,
  refusalMaxMs: 1_000,
};

test("acknowledgements that come all in one turn do not leave the sender without a next message", () =>
  withFolder(async (folder) => {
    const ignore = () => undefined;
    let sender: Sender | null = null;
    const observer = { stored: () => sender?.wake(), dropped: ignore, damaged: ignore, failed: ignore };
    const outbox = await Outbox.open({ folder, maxBytes: 65_536, whenFull: "reject", observer });
    const rejected = await RejectedStore.open(`${folder}/rejected`, { maxMessages: 1, maxBytes: 1 });
    for (let index = 0; index < 100; index += 1) await outbox.append("t", () => Buffer.from("x"));
    sender = new Sender({
      outbox,
      rejected,
      window: new SendWindow(limits),
      acknowledgements: new Acknowledgements(0),
      ackTimeoutMs: 60_000,
      now: () => 0,
      elapsedMs: () => 0,
      observer: { settled: ignore, rejected: ignore, warning: (error) => assert.fail(error) },
    });
    const unacknowledged: (() => void)[] = [];
    const connection: SendingConnection = {
      publish: (_message, acknowledged) => unacknowledged.push(acknowledged),
      destroy: () => assert.fail("nothing is wrong with the connection"),
    };
    sender.connected(connection);
    try {
      for (let idleTurns = 0; idleTurns < 2_000 && sender.counts.acknowledged < 100; idleTurns += 1) {
        await sleep(1);
        if (unacknowledged.length > 0) idleTurns = 0;
        // Those sent meanwhile are answered in the same turn, as nothing between here and the broker promises
        // not to.
        for (let next = unacknowledged.shift(); next; next = unacknowledged.shift()) next();
      }
      assert.equal(sender.counts.acknowledged, 100);
      assert.equal(outbox.messages, 0);
    } finally {
      const error = new DeviceError("CONNECTION_LOST", "done", { retryable: true });
      await sender.ended({ error, wasConnected: true, byPeer: false });
      await outbox.close();
    }
  }));
