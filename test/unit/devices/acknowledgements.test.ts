import assert from "node:assert/strict";
import { test } from "node:test";
import { Acknowledgements } from "../../../devices/acknowledgements.ts";
import { DeviceError } from "../../../devices/errors.ts";

const rejected = new DeviceError("MESSAGE_REJECTED", "no", { retryable: false });
const closed = new DeviceError("CLIENT_CLOSED", "closed", { retryable: false });

test("a promise settles with its message, whether asked for before or after", async () => {
  const acknowledgements = new Acknowledgements(10);
  const early = acknowledgements.of(11);
  assert.equal(acknowledgements.of(11), early);
  acknowledgements.acknowledged(11);
  await early;
  await acknowledgements.of(11);
  await acknowledgements.of(3);
});

test("a failure is remembered for those who ask later, and touches no other message", async () => {
  const acknowledgements = new Acknowledgements(0);
  const [first, second, third] = [1, 2, 3].map((sequence) => acknowledgements.of(sequence));
  acknowledgements.acknowledged(1);
  acknowledgements.failedUpTo(2, rejected);
  acknowledgements.failedUpTo(1, closed);
  await first;
  await assert.rejects(second ?? Promise.resolve(), rejected);
  await assert.rejects(acknowledgements.of(2), rejected);
  acknowledgements.acknowledged(3);
  await third;
  await acknowledgements.of(1);
});

test("a message that was skipped because it could not be read back is told: MESSAGE_DAMAGED", async () => {
  const acknowledgements = new Acknowledgements(0);
  const lost = acknowledgements.of(1);
  acknowledgements.acknowledged(2);
  await assert.rejects(lost, { code: "MESSAGE_DAMAGED" });
});

test("closing rejects open calls, whether or not someone listens", async () => {
  const acknowledgements = new Acknowledgements(0);
  const open = acknowledgements.of(1);
  void acknowledgements.of(2);
  acknowledgements.close(closed);
  await assert.rejects(open, closed);
  await assert.rejects(acknowledgements.of(5), closed);
});
