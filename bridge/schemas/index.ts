export { typedColumnsOf } from "./typed-columns.ts";
