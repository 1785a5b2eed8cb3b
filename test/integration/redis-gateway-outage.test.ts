import { test } from "node:test";
import { surviveOutage } from "../support/gateway-outage.ts";

test("a Redis that is gone for longer than messages are held: bounded memory, devices wait or are refused, nothing acknowledged is lost", async (context) => {
  await surviveOutage(context, {
    begin: ({ server }) => server.kill(),
    end: ({ server }) => server.start(),
  });
});
