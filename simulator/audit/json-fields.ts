// Fields of parsed JSON. Each function throws the fault if the value has another type.

export function record(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw new Error(`${what} is not an object`);
}

export function mapOf<Value>(
  value: unknown,
  what: string,
  parse: (value: unknown) => Value,
): ReadonlyMap<string, Value> {
  return new Map(Object.entries(record(value, what)).map(([key, item]) => [key, parse(item)]));
}

export function number(value: unknown, what: string): number {
  if (typeof value === "number") return value;
  throw new Error(`${what} is not a number`);
}

export function optionalNumber(value: unknown, what: string): number | undefined {
  return value === undefined ? undefined : number(value, what);
}

export function string(value: unknown, what: string): string {
  if (typeof value === "string") return value;
  throw new Error(`${what} is not a text`);
}
