import assert from "node:assert/strict";
import { test } from "node:test";
import { retention } from "../../simulator/prove/fault-proxies/kinesis-faults.ts";
import { KinesisUnderTest } from "../support/kinesis-stream.ts";
import { S3TestServer } from "../support/s3-server.ts";
import { SharedGateways } from "../support/shared-gateways.ts";

/**
 * Kinesis keeps records for at least a day. The test pretends that records are kept for 20 s, so that the
 * alarm comes soon.
 */
const retentionHours = 20 / 3600;

test("while the lake is unreachable, an alarm warns in time that acknowledged records of Kinesis will expire", async () => {
  const kinesis = await KinesisUnderTest.start("kinesalite");
  const s3 = await S3TestServer.start();
  Object.assign(process.env, s3.environment);
  kinesis.proxy.inject(retention(retentionHours), { on: ["DescribeStreamSummary"] });
  const stream = `kinesis://us-east-1/retention?endpoint=${kinesis.proxy.url}`;
  const gateways = await SharedGateways.start(1, ["--stream", stream, "--create"], {
    lake: s3.url("lake"),
    environment: {
      TIDEGATE_S3_TIMEOUT_MS: "500",
      TIDEGATE_S3_CONNECT_TIMEOUT_MS: "500",
      TIDEGATE_KINESIS_SHARD_REFRESH_MS: "500",
    },
  });
  const gateway = gateways.at(0);
  const metric = async () =>
    /^tidegate_consumer_retention_endangered\S* (\d)/m.exec(await gateway.metrics())?.[1];
  try {
    const fleet = gateways.fleet({ rate: 100 });
    await gateways.untilAcknowledged(100);
    assert.equal(await metric(), "0");
    s3.fault = () => "lose";
    await gateway.until("the alarm is in the metrics", async () => (await metric()) === "1");
    assert.match(
      await gateways.statusText(0),
      /messages wait for up to 1 min, more than half of the stream's retention/,
    );
    await gateway.until("the alarm is in the log", async () =>
      gateway.output.includes("consumer.retention.endangered"),
    );
    s3.fault = () => "pass";
    await gateway.until("the alarm is over", async () => (await metric()) === "0");
    const total = await fleet.finish();
    const { stored, lost, duplicated } = await gateways.audit(fleet.ledger);
    assert.deepEqual([stored, lost, duplicated], [total, 0, 0]);
    assert.doesNotMatch(await gateways.statusText(0), /more than half of the stream's retention/);
  } finally {
    s3.fault = () => "pass";
    await gateways.destroy();
    await kinesis.destroy();
    await s3.close();
  }
});
