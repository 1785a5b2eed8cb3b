import { type Static, Type } from "@sinclair/typebox";
import { bridgeConfigSchemas } from "../../bridge/config.ts";
import { brokerConfigSchema } from "../../broker/config.ts";
import { gatewayConfigSchema } from "./gateway-schema.ts";

/** Every setting except those of the kinds of streams, windows and lakes. */
export const baseSchema = Type.Object({
  ...gatewayConfigSchema.properties,
  ...bridgeConfigSchemas,
  stream: Type.Object({
    ...gatewayConfigSchema.properties.stream.properties,
    ...bridgeConfigSchemas.stream.properties,
  }),
  mqtt: brokerConfigSchema,
});

type DeepReadonly<Tree> = Tree extends object
  ? { readonly [Key in keyof Tree]: DeepReadonly<Tree[Key]> }
  : Tree;

export type Settings = DeepReadonly<Static<typeof baseSchema>>;
