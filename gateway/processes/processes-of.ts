import type { GatewayConfig } from "../settings/gateway-config.ts";
import { type RoleName, roleNames } from "./messages.ts";

/** The processes that a gateway with these settings runs. The upkeep of a lake belongs to its consumers. */
export function processesOf({ roles, upkeep }: Pick<GatewayConfig, "roles" | "upkeep">): RoleName[] {
  const hasUpkeep = upkeep.enabled && roles.includes("consumer");
  return roleNames.filter((name) => (name === "upkeep" ? hasUpkeep : roles.includes(name)));
}
