import { createHash, randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import type { ScryptThreads } from "./scrypt-threads.ts";

/** A key of 256 random bits cannot be guessed, so it needs no slow hash. */
interface StoredKey {
  readonly kind: "key";
  readonly saltHex: string;
  readonly sha256Hex: string;
}

export interface StoredPassword {
  readonly kind: "password";
  readonly saltHex: string;
  readonly scryptHex: string;
  readonly cost: number;
}

export type StoredSecret = StoredKey | StoredPassword;

const keyBytes = 32;
const saltBytes = 16;
const scryptBytes = 32;
/** About 40 ms and 16 MiB a check. */
const scryptCost = 16_384;
const scryptAsync = promisify<Buffer, Buffer, number, { N: number }, Buffer>(scrypt);

/** 256 random bits as text, with a prefix that secret scanners and people recognise. */
export function newDeviceKey(): string {
  return `tgk_${randomBytes(keyBytes).toString("base64url")}`;
}

export function hashKey(key: string): StoredSecret {
  const salt = randomBytes(saltBytes);
  const sha256Hex = keyDigest(salt, Buffer.from(key, "utf8")).toString("hex");
  return { kind: "key", saltHex: salt.toString("hex"), sha256Hex };
}

function keyDigest(salt: Uint8Array, secret: Uint8Array): Buffer {
  return createHash("sha256").update(salt).update(secret).digest();
}

export async function hashPassword(password: string): Promise<StoredSecret> {
  const salt = randomBytes(saltBytes);
  const hash = await scryptAsync(Buffer.from(password, "utf8"), salt, scryptBytes, { N: scryptCost });
  return {
    kind: "password",
    saltHex: salt.toString("hex"),
    scryptHex: hash.toString("hex"),
    cost: scryptCost,
  };
}

/** A random password that is never disclosed. A check against it takes as long as against any other. */
export function unknownPassword(): StoredPassword {
  const [saltHex, scryptHex] = [saltBytes, scryptBytes].map((bytes) => randomBytes(bytes).toString("hex"));
  return { kind: "password", saltHex: saltHex ?? "", scryptHex: scryptHex ?? "", cost: scryptCost };
}

/** Takes the same time whether the secret is right or wrong. Costs about a microsecond. */
export function isRightKey(stored: StoredKey, secret: Uint8Array): boolean {
  const digest = keyDigest(Buffer.from(stored.saltHex, "hex"), secret);
  return timingSafeEqual(digest, Buffer.from(stored.sha256Hex, "hex"));
}

/** Slow on purpose: callers bound the number of checks that run at once. */
export async function isRightPassword(
  stored: StoredPassword,
  secret: Uint8Array,
  threads: ScryptThreads,
): Promise<boolean> {
  const salt = Buffer.from(stored.saltHex, "hex");
  const hash = await threads.hash({ secret, salt, bytes: scryptBytes, cost: stored.cost });
  return timingSafeEqual(hash, Buffer.from(stored.scryptHex, "hex"));
}
