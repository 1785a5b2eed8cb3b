import assert from "node:assert/strict";
import { cpSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { gatewayName } from "../../../../gateway/data-folder/gateway-name.ts";

const root = mkdtempSync(join(tmpdir(), "tidegate-name-"));
after(() => rmSync(root, { recursive: true, force: true }));

test("a folder keeps its name across restarts and moves, and a copy gets another one", () => {
  const folder = mkdtempSync(join(root, "data-"));
  const name = gatewayName(folder);
  assert.match(name, new RegExp(`^${hostname()}/[0-9a-f]{8}$`));
  assert.equal(gatewayName(folder), name);
  const moved = join(root, "moved");
  renameSync(folder, moved);
  assert.equal(gatewayName(moved), name);
  const copy = join(root, "copy");
  cpSync(moved, copy, { recursive: true });
  const copied = gatewayName(copy);
  assert.notEqual(copied, name);
  assert.equal(gatewayName(copy), copied);
  assert.equal(gatewayName(moved), name);
});

test("a name of version 0.1.0 stays", () => {
  const folder = mkdtempSync(join(root, "data-"));
  writeFileSync(join(folder, "gateway-id"), "01234567\n");
  for (let start = 0; start < 2; start++) assert.equal(gatewayName(folder), `${hostname()}/01234567`);
  const copy = join(root, "copy of 0.1.0");
  cpSync(folder, copy, { recursive: true });
  assert.notEqual(gatewayName(copy), gatewayName(folder));
});
