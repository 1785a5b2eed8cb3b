import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type HttpFault, htmlAnswer } from "../../simulator/prove/fault-proxies/http-fault.ts";
import {
  accessDenied,
  autoDistribution,
  kinesisClockSkew,
  otherRegion,
} from "../../simulator/prove/fault-proxies/kinesis-faults.ts";
import { GatewayProcess } from "../support/gateway-process.ts";
import { KinesisUnderTest } from "../support/kinesis-stream.ts";
import { SharedGateways } from "../support/shared-gateways.ts";

let kinesis: KinesisUnderTest;
before(async () => {
  kinesis = await KinesisUnderTest.start("kinesalite");
});
after(() => kinesis.destroy());

const environment = { TIDEGATE_KINESIS_TIMEOUT_MS: "1000", TIDEGATE_KINESIS_SHARD_REFRESH_MS: "500" };
const flagsOf = (name: string) => [
  "--stream",
  `kinesis://us-east-1/${name}?endpoint=${kinesis.proxy.url}`,
  "--create",
];

test("a gateway that Kinesis refuses ends, and names the missing right, credential or setting", async () => {
  const home = mkdtempSync(join(tmpdir(), "tidegate-home-"));
  const nobody = { HOME: home, AWS_ACCESS_KEY_ID: "", AWS_SECRET_ACCESS_KEY: "" };
  const denied = accessDenied("ListShards");
  const cases: readonly (readonly [HttpFault | null, Record<string, string>, RegExp])[] = [
    [denied, {}, /can't start \(KINESIS_DENIED\).*Allow kinesis:ListShards/],
    [otherRegion("us-east-1"), {}, /can't start \(KINESIS_DENIED\).*correct the region in the URL/],
    [autoDistribution(), {}, /can't start \(KINESIS_UNSUPPORTED\).*AUTO/],
    [null, nobody, /can't start \(KINESIS_DENIED\).*AWS_ACCESS_KEY_ID/],
  ];
  for (const [fault, variables, message] of cases) {
    const on = fault === denied ? "ListShards" : "DescribeStreamSummary";
    const injected = fault && kinesis.proxy.inject(fault, { on: [on] });
    const gateway = await GatewayProcess.start({
      flags: flagsOf("refused"),
      environment: { ...environment, ...variables },
      waitUntilReady: false,
    });
    try {
      assert.equal(await gateway.exited(), 1);
      assert.match(gateway.output, message);
    } finally {
      injected?.remove();
      await gateway.destroy();
    }
  }
  rmSync(home, { recursive: true });
});

test("another server in place of Kinesis, a wrong clock and a removed right are reported, and the gateway recovers by itself", async () => {
  const { proxy } = kinesis;
  proxy.inject(kinesisClockSkew(3_600_000), { times: 1 });
  const gateways = await SharedGateways.start(1, flagsOf("interrupted"), { environment });
  const gateway = gateways.at(0);
  try {
    const fleet = gateways.fleet({ rate: 100 });
    await gateways.untilAcknowledged(50);
    for (const [fault, reason] of [
      [htmlAnswer(200), /another service, .*answers at http/],
      [accessDenied("PutRecords"), /Allow kinesis:PutRecords/],
    ] as const) {
      const injected = proxy.inject(fault, { on: ["PutRecords"] });
      await gateway.until("the status says why nothing is acknowledged", async () => {
        const answer = await fetch(`${gateway.httpUrl}/readyz`);
        return answer.status === 503 && reason.test(await answer.text());
      });
      injected.remove();
      await gateway.until(
        "the gateway is ready",
        async () => (await fetch(`${gateway.httpUrl}/readyz`)).status === 200,
      );
    }
    const total = await fleet.finish();
    const { stored, lost, duplicated } = await gateways.audit(fleet.ledger);
    assert.deepEqual([stored, lost, duplicated], [total, 0, 0]);
  } finally {
    proxy.heal();
    await gateways.destroy();
  }
});
