import { test } from "node:test";
import { surviveOutage } from "../support/gateway-outage.ts";

test("a network that accepts all packets and answers none, for longer than messages are held, does no harm", async (context) => {
  await surviveOutage(context, {
    begin: ({ proxy }) => proxy.set("hold"),
    end: ({ proxy }) => proxy.set("pass"),
  });
});
