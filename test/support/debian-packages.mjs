// Makes sure that the programs that integration tests need are there. Installs Debian packages if possible
// (root and apt-get), otherwise names the missing ones.
import { spawnSync } from "node:child_process";

const programs = [
  { program: "mosquitto_pub", debianPackage: "mosquitto-clients", suites: ["integration", "contract"] },
  { program: "strace", debianPackage: "strace", suites: ["integration", "contract"] },
  { program: "curl", debianPackage: "curl", suites: ["integration"] },
  { program: "redis-server", debianPackage: "redis-server", suites: ["integration", "contract"] },
  { program: "radosgw", debianPackage: "radosgw", suites: ["integration"] },
  { program: "ceph-mon", debianPackage: "ceph-mon", suites: ["integration"] },
  { program: "ceph-osd", debianPackage: "ceph-osd", suites: ["integration"] },
  { program: "ceph", debianPackage: "ceph-common", suites: ["integration"] },
];

function isInstalled(program) {
  return spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;
}

export function ensureDebianPackages(wantedSuites) {
  const needed = programs.filter(({ suites }) => suites.some((suite) => wantedSuites.includes(suite)));
  const missing = needed.filter(({ program }) => !isInstalled(program));
  if (missing.length === 0) return;
  const names = missing.map(({ debianPackage }) => debianPackage);
  if (process.getuid?.() !== 0 || !isInstalled("apt-get")) {
    process.stderr.write(
      `These tests need ${names.join(", ")}: run  sudo apt-get install ${names.join(" ")}\n`,
    );
    process.exit(2);
  }
  process.stderr.write(`installing ${names.join(", ")} with apt-get\n`);
  const install = ["-y", "--no-install-recommends", "install", ...names];
  const quiet = {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  };
  if (spawnSync("apt-get", install, quiet).status === 0) return;
  spawnSync("apt-get", ["update"], quiet);
  if (spawnSync("apt-get", install, quiet).status === 0) return;
  process.stderr.write(
    `apt-get could not install ${names.join(", ")}: install them by hand, then run the tests again\n`,
  );
  process.exit(2);
}
