import { after, before } from "node:test";
import { ownEverything } from "../../bridge/consumer/partition-leases.ts";
import { openTestLeases } from "../support/lease-processes.ts";
import { RedisServer } from "../support/redis-server.ts";
import { contractPartitions, partitionLeasesContract } from "./partition-leases-contract.ts";

partitionLeasesContract("own everything", async () => ownEverything(contractPartitions));

let server: RedisServer;
let streams = 0;
before(async () => {
  server = await RedisServer.start({ appendonly: "no" });
});
after(() => server.destroy());

partitionLeasesContract("redis", () =>
  openTestLeases(server, { streamId: `s${++streams}`, partitionCount: contractPartitions }),
);
