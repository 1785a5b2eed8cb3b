import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { type BootClock, type BootClockSources, openBootClock } from "../../../bridge/boot-clock.ts";

/** A machine whose clocks all of its processes see. */
class Machine {
  bootName: string | null = "boot 1";
  monotonicMs = 1_000_000;
  asleepMs: number | null = 0;
  wallMs = 1_795_000_000_000;
  uptimeReads = 0;

  openClock(changes: Partial<BootClockSources> = {}): BootClock {
    return openBootClock({
      wallMs: () => this.wallMs,
      monotonicMs: () => this.monotonicMs,
      uptimeMs: () => {
        this.uptimeReads += 1;
        return this.asleepMs === null ? null : this.monotonicMs + this.asleepMs;
      },
      bootName: () => this.bootName,
      ...changes,
    });
  }

  pass(ms: number): void {
    this.monotonicMs += ms;
    this.wallMs += ms;
  }

  /** The system sets its wall clock forward by the time asleep. */
  sleep(ms: number): void {
    this.asleepMs = (this.asleepMs ?? 0) + ms;
    this.wallMs += ms;
  }
}

test("steps of the wall clock do not move it", () => {
  const machine = new Machine();
  const clock = machine.openClock();
  const startMs = clock.elapsedMs();
  for (const stepMs of [7_200_000, -10 * 86_400_000, 1]) {
    machine.pass(500);
    machine.wallMs += stepMs;
    assert.equal(clock.elapsedMs(), machine.monotonicMs);
  }
  assert.equal(clock.elapsedMs() - startMs, 1500);
});

test("time asleep counts, in a process that ran before and in one that starts later", () => {
  const machine = new Machine();
  const clock = machine.openClock();
  machine.pass(1000);
  machine.sleep(28_800_000);
  assert.equal(clock.elapsedMs(), 1_001_000 + 28_800_000);
  assert.equal(machine.openClock().elapsedMs(), clock.elapsedMs());
  assert.equal(machine.openClock().bootId, clock.bootId);
});

test("the uptime is read once, and again only after the wall clock has moved by itself", () => {
  const machine = new Machine();
  const clock = machine.openClock();
  for (let call = 0; call < 1000; call++) {
    machine.pass(50);
    clock.elapsedMs();
  }
  assert.equal(machine.uptimeReads, 1);
  machine.wallMs += 5000;
  clock.elapsedMs();
  clock.elapsedMs();
  assert.equal(machine.uptimeReads, 2);
});

test("another boot, and a container with an uptime of its own, have other ids; without a boot id each process has one", () => {
  const machine = new Machine();
  const first = machine.openClock().bootId;
  assert.match(first, /^[0-9a-f]{16}$/);
  assert.equal(machine.openClock().bootId, first);
  const inContainer = machine.openClock({ uptimeMs: () => 5000 });
  assert.notEqual(inContainer.bootId, first);
  assert.equal(inContainer.elapsedMs(), machine.monotonicMs, "never less than the monotonic clock");
  machine.bootName = "boot 2";
  assert.notEqual(machine.openClock().bootId, first);
  machine.bootName = null;
  assert.notEqual(machine.openClock().bootId, machine.openClock().bootId);
  assert.equal(machine.openClock({ uptimeMs: () => null }).elapsedMs(), machine.monotonicMs);
});

test("two processes of this machine agree on its boot and on the time", () => {
  const program =
    'import { openBootClock } from "./bridge/boot-clock.ts"; const c = openBootClock(); console.log(c.bootId, c.elapsedMs())';
  const clock = openBootClock();
  const beforeMs = clock.elapsedMs();
  const [bootId, elapsed] = execFileSync(
    process.execPath,
    ["--import", "tsx", "--input-type=module", "-e", program],
    { encoding: "utf8" },
  )
    .trim()
    .split(" ");
  assert.equal(bootId, clock.bootId);
  assert.ok(Number(elapsed) >= beforeMs - 50 && Number(elapsed) <= clock.elapsedMs() + 50, `${elapsed}`);
});
