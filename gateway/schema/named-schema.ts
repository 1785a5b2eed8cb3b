import { type Static, type TSchema, Type } from "@sinclair/typebox";

type DeepReadonly<Tree> = Tree extends object
  ? { readonly [Key in keyof Tree]: DeepReadonly<Tree[Key]> }
  : Tree;

/** The type of a handler's answer, so that the compiler compares each answer with its schema. */
export type AnswerOf<Schema extends TSchema> = DeepReadonly<Static<Schema>>;

/** A reference to a schema with an `$id`, which the description holds once, under that name. */
export function named<Schema extends TSchema>(schema: Schema) {
  return Type.Unsafe<Static<Schema>>({ $ref: `${schema.$id}#` });
}

export function orNull<Schema extends TSchema>(schema: Schema, options: { description?: string } = {}) {
  return Type.Union([schema, Type.Null()], options);
}

/** Short forms of schemas with their description. */
export const text = (description?: string) => Type.String(description === undefined ? {} : { description });
export const count = (description?: string) =>
  Type.Integer({ minimum: 0, ...(description === undefined ? {} : { description }) });
export const texts = (description: string) => Type.Array(Type.String(), { description });
export const flag = (description: string) => Type.Boolean({ description });
export const timeMs = (description: string) =>
  Type.Number({ description: `${description}, ms since the epoch` });
export const durationMs = (description: string) => Type.Number({ description: `${description}, ms` });

/** Accepts one of these texts. */
export function oneOf<const Texts extends readonly string[]>(choices: Texts, description?: string) {
  return Type.Union(
    choices.map((choice) => Type.Literal(choice as Texts[number])),
    description === undefined ? {} : { description },
  );
}

/** A failure with a code for programs and a text for people. */
export const codedFailureSchema = Type.Object({ code: text(), message: text() });
