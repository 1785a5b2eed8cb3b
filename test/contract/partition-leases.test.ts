import { after, before } from "node:test";
import { ownEverything } from "../../bridge/leases/partition-leases.ts";
import { openTestLeases } from "../support/lease-processes.ts";
import { RedisCluster } from "../support/redis-cluster.ts";
import { RedisServer } from "../support/redis-server.ts";
import { contractPartitions, partitionLeasesContract } from "./partition-leases-contract.ts";

partitionLeasesContract("own everything", async () => {
  const leases = ownEverything();
  leases.offer(contractPartitions);
  return leases;
});

let server: RedisServer;
let cluster: RedisCluster;
let streams = 0;
before(async () => {
  server = await RedisServer.start({ appendonly: "no" });
  cluster = await RedisCluster.start({ appendonly: "no" });
});
after(() => Promise.all([server.destroy(), cluster.destroy()]));

partitionLeasesContract("redis", () =>
  openTestLeases(server, { streamId: `s${++streams}`, partitions: contractPartitions }),
);

partitionLeasesContract("redis cluster", () =>
  openTestLeases(cluster, { streamId: `s${++streams}`, partitions: contractPartitions }),
);
