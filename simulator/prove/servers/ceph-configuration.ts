import { join } from "node:path";

export interface CephPorts {
  readonly monitorV2: number;
  readonly monitorV1: number;
  readonly s3: number;
}

/**
 * ceph.conf of one monitor, one OSD that holds everything in memory, and radosgw. All are on 127.0.0.1 and
 * below one folder.
 */
export function cephConfiguration(folder: string, clusterId: string, ports: CephPorts): string {
  const global = {
    fsid: clusterId,
    mon_initial_members: "a",
    mon_host: monitorAddress(ports),
    public_addr: "127.0.0.1",
    cluster_addr: "127.0.0.1",
    // radosgw hangs without authentication.
    auth_cluster_required: "cephx",
    auth_service_required: "cephx",
    auth_client_required: "cephx",
    auth_allow_insecure_global_id_reclaim: "false",
    // Each pool that radosgw creates when it first starts waits for some of these.
    paxos_propose_interval: "0.02",
    paxos_min_wait: "0.01",
    osd_pool_default_size: "1",
    osd_pool_default_min_size: "1",
    osd_pool_default_pg_num: "1",
    osd_pool_default_pg_autoscale_mode: "off",
    osd_crush_chooseleaf_type: "0",
    osd_crush_initial_weight: "1",
    mon_allow_pool_size_one: "true",
    mon_max_pg_per_osd: "1000",
    mon_data_avail_crit: "1",
    osd_objectstore: "memstore",
    memstore_device_bytes: String(4 * 1024 ** 3),
    keyring: join(folder, "keyring"),
    mon_data: join(folder, "monitor"),
    osd_data: join(folder, "osd"),
    run_dir: folder,
    admin_socket: "",
    pid_file: "",
    log_file: join(folder, "$name.log"),
    crash_dir: folder,
  };
  const gateway = {
    rgw_data: join(folder, "radosgw"),
    rgw_frontends: `beast endpoint=127.0.0.1:${ports.s3}`,
  };
  return `[global]\n${lines(global)}[client.admin]\n${lines(gateway)}`;
}

export function monitorAddress({ monitorV2, monitorV1 }: CephPorts): string {
  return `[v2:127.0.0.1:${monitorV2},v1:127.0.0.1:${monitorV1}]`;
}

function lines(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name} = ${value}\n`)
    .join("");
}
