import { type Broker, createBroker } from "../../broker/index.ts";
import { type TestIngest, type TestIngestOptions, testIngest } from "./test-ingest.ts";

export { TestDevices, TestTopics, topicRule } from "./test-ingest.ts";

export interface TestBroker extends TestIngest, AsyncDisposable {
  readonly broker: Broker;
  readonly port: number;
  readonly url: string;
}

/** A real broker on a free port of 127.0.0.1. */
export async function startBroker(options: TestIngestOptions = {}): Promise<TestBroker> {
  const core = testIngest(options);
  const { config, ingest, registry } = core;
  const broker = createBroker({ config, ingest, registry });
  const { port } = await broker.listen();
  return {
    ...core,
    broker,
    port,
    url: `mqtt://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      await broker.stop();
      ingest.close();
    },
  };
}
