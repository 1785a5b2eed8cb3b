import { after, before } from "node:test";
import { KinesisUnderTest, type LocalKinesis } from "../support/kinesis-stream.ts";
import { streamLogContract } from "./stream-log-contract.ts";

function contractOn(kind: LocalKinesis): void {
  let kinesis: KinesisUnderTest | undefined;
  before(async () => {
    kinesis = await KinesisUnderTest.start(kind);
  });
  after(async () => await kinesis?.destroy());
  streamLogContract(
    kind,
    async ({ partitionCount }) => {
      if (!kinesis) throw new TypeError("the server was not started");
      const stream = await kinesis.stream(partitionCount);
      return {
        open: () => stream.open(),
        openReader: () => stream.open({ mode: "read" }),
        clock: { ask: async () => Date.now() },
        destroy: () => stream.close(),
      };
    },
    { isKeptByTime: true },
  );
}

contractOn("kinesalite");
contractOn("kinesis-local");
