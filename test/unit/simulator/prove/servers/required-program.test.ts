import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { packageFile, programOnPath } from "../../../../../simulator/prove/servers/required-program.ts";

const require = createRequire(import.meta.url);

test("a program is found on PATH, and a missing one names its Debian package", () => {
  assert.equal(programOnPath("sh", "dash", "/nowhere:/bin"), "/bin/sh");
  assert.throws(() => programOnPath("radosgw", "radosgw", "/nowhere"), {
    code: "PROVE_SERVER_FAILED",
    message: /apt-get install radosgw/,
  });
});

test("a missing npm package is named", () => {
  assert.match(
    packageFile("kinesalite", () => require.resolve("kinesalite")),
    /kinesalite/,
  );
  const missing = "no-such-server";
  assert.throws(() => packageFile(missing, () => require.resolve(missing)), {
    code: "PROVE_SERVER_FAILED",
    message: /npm install --no-save no-such-server/,
  });
});
