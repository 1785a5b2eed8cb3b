import { randomBytes } from "node:crypto";
import { type Static, Type } from "@sinclair/typebox";
import type { DeviceRole } from "../../broker/index.ts";
import type { GatewayError } from "../errors.ts";
import { inputError } from "../input/input-error.ts";
import { inputFaults } from "../input/input-faults.ts";
import { hashKey, hashPassword, newDeviceKey, type StoredSecret } from "./device-secret.ts";

/**
 * No slash, because client ids of an edge are `<identity>/<suffix>`. No `*`, because it ends prefixes in a
 * topic's publishers.
 */
const namePattern = "^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$";

export const deviceInputSchema = Type.Object(
  {
    name: Type.String({
      pattern: namePattern,
      expected: "a name of 1 to 128 letters, digits and . _ : @ -, that begins with a letter or digit",
      description: "MQTT user name: letters, digits and . _ : @ -",
    }),
    role: Type.Optional(
      Type.Union([Type.Literal("device"), Type.Literal("edge")], {
        description: "device = publishes for itself, edge = a field gateway that publishes for many devices",
      }),
    ),
    topicPrefixes: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 1_024 }), {
        maxItems: 100,
        expected: "a list of at most 100 beginnings of topic names",
        description: "For an edge: beginnings of the topic names that it may publish on",
      }),
    ),
    password: Type.Optional(
      Type.String({
        minLength: 8,
        maxLength: 256,
        secret: true,
        expected: "a password of 8 to 256 characters",
        description: "A password chosen by a person; default: Tidegate generates a key of 256 random bits",
      }),
    ),
  },
  { additionalProperties: false },
);

export type DeviceInput = Static<typeof deviceInputSchema>;

export interface DeviceRecord {
  readonly name: string;
  /** Random: distinguishes an identity from an earlier one with the same name. */
  readonly id: string;
  readonly role: DeviceRole;
  readonly topicPrefixes: readonly string[];
  readonly secret: StoredSecret;
  readonly createdAtMs: number;
}

/**
 * The record of a new identity, and its key if one was generated. The record does not hold the key. Throws
 * DEVICE_INVALID.
 */
export async function newDeviceRecord(
  input: DeviceInput,
  nowMs: number,
): Promise<{ record: DeviceRecord; key: string | null }> {
  const faults = inputFaults(deviceInputSchema, input);
  if (faults.length > 0) throw inputError("DEVICE_INVALID", refused, faults);
  const role = input.role ?? "device";
  const topicPrefixes = input.topicPrefixes ?? [];
  if (role === "device" && topicPrefixes.length > 0)
    throw invalid(
      topicPrefixes,
      "prefixes are for the role edge; a device publishes where {device} is its own name",
    );
  const wild = topicPrefixes.find((prefix) => /[+#{}]/.test(prefix));
  if (wild !== undefined) throw invalid(wild, "give the beginning of topic names, without wildcards");
  const key = input.password === undefined ? newDeviceKey() : null;
  const secret = key === null ? await hashPassword(input.password ?? "") : hashKey(key);
  const id = randomBytes(8).toString("hex");
  return { record: { name: input.name, id, role, topicPrefixes, secret, createdAtMs: nowMs }, key };
}

const refused = "The identity is not valid: ";

function invalid(value: unknown, mend: string): GatewayError {
  return inputError("DEVICE_INVALID", refused, [{ where: "topicPrefixes", kind: "wrong", value, mend }]);
}
