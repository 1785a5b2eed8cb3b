import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { GatewayProcess } from "../support/gateway-process.ts";
import { KinesisUnderTest } from "../support/kinesis-stream.ts";
import { SharedGateways } from "../support/shared-gateways.ts";

let kinesis: KinesisUnderTest;
before(async () => {
  kinesis = await KinesisUnderTest.start("kinesalite");
});
after(() => kinesis.destroy());

const environment = { TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "300" };
const streamOf = (name: string) => [
  "--stream",
  `kinesis://us-east-1/${name}?endpoint=${kinesis.server.url}`,
  "--create",
];

test("a gateway with a new lake files the messages of the stream there; the old lake continues later", async () => {
  const first = await SharedGateways.start(1, streamOf("followed"));
  const { dataFolder } = first.at(0);
  try {
    const before = first.fleet({ rate: 200, durationS: 2 });
    assert.equal((await before.ended).code, 0);
    await first.stop();
    const second = await SharedGateways.start(0, []);
    const flags = [...streamOf("followed"), "--lake", second.lake];
    const gateway = await GatewayProcess.start({ dataFolder, flags, environment });
    const after = first.fleet({ rate: 200, durationS: 2, mqttUrls: [gateway.mqttUrl] });
    try {
      assert.equal((await after.ended).code, 0);
      for (const { ledger } of [before, after]) {
        const { stored, lost, duplicated } = await second.audit(ledger);
        assert.deepEqual([stored, lost, duplicated], [400, 0, 0]);
      }
    } finally {
      await gateway.stop();
      await second.destroy();
    }
    await first.startAgain();
    for (const { ledger } of [before, after]) {
      const { stored, lost, duplicated } = await first.audit(ledger);
      assert.deepEqual([stored, lost, duplicated], [400, 0, 0]);
    }
  } finally {
    await first.destroy();
  }
});

test("a stream that was written for another lake with unknown topics is reported in plain words", async () => {
  const first = await SharedGateways.start(1, streamOf("foreign"));
  const second = await SharedGateways.start(0, []);
  try {
    assert.equal((await first.fleet({ rate: 200, durationS: 1 }).ended).code, 0);
    await first.stop();
    const flags = [...streamOf("foreign"), "--lake", second.lake];
    second.all.push(await GatewayProcess.start({ flags, environment }));
    await second.at(0).until("the status says why nothing is filed", async () => {
      const text = await second.statusText(0);
      return /TOPIC_UNKNOWN.*written for another lake.*stream of its own/.test(text);
    });
    await second.stop();
    await first.startAgain();
    const [status] = await first.statuses();
    assert.equal(status?.books?.isBalanced, true, "the lake of this stream is unchanged");
  } finally {
    await second.destroy();
    await first.destroy();
  }
});
