import type { MetaDataAction, ProtocolAction, SchemaField } from "./delta-actions.ts";

/** The highest versions of the protocol that there are: from these on it names features. */
const readerVersionMax = 3;
const writerVersionMax = 7;

/**
 * Features with which a blind append of whole files is as it was without them, or which ask something of writers only if metadata use
 * them (`activeFault`): PROTOCOL.md of delta-io/delta, "Writer Requirements for …". An append without deletes needs no change data files.
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

/** Features with which our SQL reads a table right; files with deletion vectors are another matter. */
const readableFeatures: ReadonlySet<string> = new Set([
  "columnMapping",
  "deletionVectors",
  "timestampNtz",
  "typeWidening",
  "typeWidening-preview",
  "vacuumProtocolCheck",
]);

/** What another writer asks for, and the CHECK constraints that do. */
export interface FeatureFault {
  readonly fault: string;
  readonly constraints?: readonly string[];
}

/** Why rows can't be appended to a table with this protocol and metadata; null if they can. */
export function appendFault(
  protocol: ProtocolAction,
  metaData: MetaDataAction,
  fields: readonly SchemaField[],
): FeatureFault | null {
  const fault = namingFault(protocol);
  return fault === null ? activeFault(metaData, fields) : { fault };
}

/** Features that we don't know may name a table's files in another way; null if there are none. */
export function namingFault({ minWriterVersion, writerFeatures }: ProtocolAction): string | null {
  if (minWriterVersion > writerVersionMax)
    return `it needs Delta writer ${minWriterVersion}, ours is ${writerVersionMax}`;
  if (minWriterVersion === writerVersionMax && !writerFeatures)
    return "it needs a Delta writer with features that it does not name";
  const unknown = (writerFeatures ?? []).filter((feature) => !appendableFeatures.has(feature));
  if (unknown.length === 0) return null;
  return `it needs a Delta writer with ${unknown.join(", ")}, which ours is not`;
}

/** What the metadata ask of each writer, whatever the protocol's version. */
function activeFault({ configuration }: MetaDataAction, fields: readonly SchemaField[]): FeatureFault | null {
  const settings = configuration ?? {};
  const constraints = Object.keys(settings).flatMap(
    (key) => /^delta\.constraints\.(.*)$/s.exec(key)?.[1] ?? [],
  );
  if (constraints.length > 0) {
    const texts = constraints.map((name) => `${name}: ${settings[`delta.constraints.${name}`]}`);
    return { fault: `it has CHECK constraints, which we can't check (${texts.join("; ")})`, constraints };
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

/** Why our SQL can't read the table; null if it can. */
export function readFault(protocol: ProtocolAction, metaData: MetaDataAction): string | null {
  const { minReaderVersion, readerFeatures } = protocol;
  if (minReaderVersion > readerVersionMax)
    return `it needs Delta reader ${minReaderVersion}, ours is ${readerVersionMax}`;
  if (minReaderVersion === readerVersionMax && !readerFeatures)
    return "it needs a Delta reader with features that it does not name";
  const unknown = (readerFeatures ?? []).filter((feature) => !isReadable(feature));
  if (unknown.length > 0) return `it needs a Delta reader with ${unknown.join(", ")}, which ours is not`;
  const mapping = metaData.configuration?.["delta.columnMapping.mode"] ?? "none";
  return mapping === "none" ? null : `it maps column names by ${mapping}`;
}

/** Columns of variants are nested: those are left out anyway. */
function isReadable(feature: string): boolean {
  return readableFeatures.has(feature) || feature.startsWith("variantType");
}
