// Writes the types of an OpenAPI document for `openapi-fetch`. Usage: node generate.mjs OPENAPI.json TYPES.ts
// It needs TypeScript 5, which is why this folder is a package of its own: the rest is compiled with
// TypeScript 7.
import { readFileSync, writeFileSync } from "node:fs";
import openapiTS, { astToString } from "openapi-typescript";

const [document, types] = process.argv.slice(2);
writeFileSync(types, astToString(await openapiTS(JSON.parse(readFileSync(document, "utf8")))));
