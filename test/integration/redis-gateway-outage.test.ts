import { test } from "node:test";
import { surviveOutage } from "../support/gateway-outage.ts";

test("a Redis that is down for longer than messages are held: bounded memory, devices wait or are refused, no acknowledged message is lost", async (context) => {
  await surviveOutage(context, {
    begin: ({ server }) => server.kill(),
    end: ({ server }) => server.start(),
  });
});
