import type { MetaDataAction, ProtocolAction, SchemaField } from "./delta-actions.ts";

/** The highest versions of the protocol. From these versions on, the protocol lists features instead. */
const readerVersionMax = 3;
const writerVersionMax = 7;

/**
 * Features that do not change a blind append of whole files, or that demand something of writers only if the
 * metadata use them (see `activeFault`). Source: PROTOCOL.md of delta-io/delta, "Writer Requirements for …".
 * An append without deletes needs no change data files.
 */
const appendableFeatures: ReadonlySet<string> = new Set([
  "appendOnly",
  "invariants",
  "checkConstraints",
  "changeDataFeed",
  "generatedColumns",
  "columnMapping",
  "identityColumns",
  "allowColumnDefaults",
  "deletionVectors",
  "domainMetadata",
  "timestampNtz",
  "typeWidening",
  "typeWidening-preview",
  "variantType",
  "variantType-preview",
  "vacuumProtocolCheck",
]);

/** Features with which our SQL reads a table correctly, except files with deletion vectors. */
const readableFeatures: ReadonlySet<string> = new Set([
  "columnMapping",
  "deletionVectors",
  "timestampNtz",
  "typeWidening",
  "typeWidening-preview",
  "vacuumProtocolCheck",
]);

/** What another writer demands, and the CHECK constraints that demand it. */
export interface FeatureFault {
  readonly fault: string;
  readonly constraints?: readonly string[];
}

/** Why rows cannot be appended to a table with this protocol and metadata; null if they can. */
export function appendFault(
  protocol: ProtocolAction,
  metaData: MetaDataAction,
  fields: readonly SchemaField[],
): FeatureFault | null {
  const fault = namingFault(protocol);
  return fault === null ? activeFault(metaData, fields) : { fault };
}

/**
 * Why we may not find the table's files: unknown features may name them in another way. Null if there are
 * none.
 */
export function namingFault({ minWriterVersion, writerFeatures }: ProtocolAction): string | null {
  if (minWriterVersion > writerVersionMax)
    return `it needs Delta writer ${minWriterVersion}, Tidegate has ${writerVersionMax}`;
  if (minWriterVersion === writerVersionMax && !writerFeatures)
    return "it needs a Delta writer with features that it does not name";
  const unknown = (writerFeatures ?? []).filter((feature) => !appendableFeatures.has(feature));
  if (unknown.length === 0) return null;
  return `it needs a Delta writer with ${unknown.join(", ")}, which Tidegate lacks`;
}

/** What the metadata demand of each writer, whatever the protocol's version. */
function activeFault({ configuration }: MetaDataAction, fields: readonly SchemaField[]): FeatureFault | null {
  const settings = configuration ?? {};
  const constraints = Object.keys(settings).flatMap(
    (key) => /^delta\.constraints\.(.*)$/s.exec(key)?.[1] ?? [],
  );
  if (constraints.length > 0) {
    const texts = constraints.map((name) => `${name}: ${settings[`delta.constraints.${name}`]}`);
    return {
      fault: `it has CHECK constraints, which Tidegate can't check (${texts.join("; ")})`,
      constraints,
    };
  }
  const mapping = settings["delta.columnMapping.mode"] ?? "none";
  if (mapping !== "none") return { fault: `it maps column names by ${mapping}` };
  for (const { name, metadata } of fields)
    for (const [key, what] of columnRules)
      if (Object.keys(metadata ?? {}).some((each) => each.startsWith(key)))
        return { fault: `column ${name} ${what}` };
  return null;
}

const columnRules = [
  ["delta.invariants", "has an invariant"],
  ["delta.generationExpression", "is generated"],
  ["delta.identity.", "is an identity column"],
  ["CURRENT_DEFAULT", "has a default"],
] as const;

/** Why our SQL cannot read the table; null if it can. */
export function readFault(protocol: ProtocolAction, metaData: MetaDataAction): string | null {
  const { minReaderVersion, readerFeatures } = protocol;
  if (minReaderVersion > readerVersionMax)
    return `it needs Delta reader ${minReaderVersion}, Tidegate has ${readerVersionMax}`;
  if (minReaderVersion === readerVersionMax && !readerFeatures)
    return "it needs a Delta reader with features that it does not name";
  const unknown = (readerFeatures ?? []).filter((feature) => !isReadable(feature));
  if (unknown.length > 0) return `it needs a Delta reader with ${unknown.join(", ")}, which Tidegate lacks`;
  const mapping = metaData.configuration?.["delta.columnMapping.mode"] ?? "none";
  return mapping === "none" ? null : `it maps column names by ${mapping}`;
}

/** Columns of variants are nested, and queries leave out nested columns. */
function isReadable(feature: string): boolean {
  return readableFeatures.has(feature) || feature.startsWith("variantType");
}
