import type { TObject, TSchema } from "@sinclair/typebox";
import type { FastifyInstance } from "fastify";
import { GatewayError } from "../errors.ts";
import { inputError } from "../input/input-error.ts";
import { type InputFault, inputFaults } from "../input/input-faults.ts";
import { jsonTextFault } from "../input/json-text.ts";
import { lostNumbers } from "../input/lost-numbers.ts";
import { valueFromText } from "../schema/value-from-text.ts";

/**
 * Reads requests. Bodies are checked as they are; texts of queries and paths are converted to the types of
 * their schema first. Unknown members are refused.
 */
export function installRequestInput(app: FastifyInstance): void {
  app.setValidatorCompiler<TSchema>(({ schema, httpPart }) => (given: unknown) => {
    const isBody = httpPart === "body";
    const value = isBody ? (given ?? undefined) : fromTexts(schema as TObject, given);
    const faults = inputFaults(schema, value, { areTexts: !isBody });
    if (faults.length === 0) return { value };
    return { error: inputError("REQUEST_INVALID", "", faults.map(placedIn(httpPart))) };
  });
  app.setSerializerCompiler(() => (answer) => JSON.stringify(answer));
  installJsonParser(app);
}

/** Accepts only JSON. The refusal of another text names the place at which it is not JSON. */
function installJsonParser(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser("error", "error");
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", { parseAs: "string" }, (request, body, done) => {
    const text = String(body);
    // Many clients send the content type with a request without a body, such as DELETE.
    if (text === "" && request.method !== "POST" && request.method !== "PUT") return done(null, undefined);
    const fault = jsonTextFault(text);
    if (fault !== null) return done(requestInvalid(`The body is not JSON: ${fault}.`));
    const lost = lostNumbers(text);
    if (lost.length > 0) done(inputError("REQUEST_INVALID", "", lost));
    else
      void parse(request, text, (error, value) => {
        if (error) done(requestInvalid("The body has a member __proto__ or constructor: leave it out."));
        else done(null, value);
      });
  });
}

export function requestInvalid(message: string): GatewayError {
  return new GatewayError("REQUEST_INVALID", message, { retryable: false });
}

/** Leaves unknown members unchanged; they are refused later. */
function fromTexts(schema: TObject, given: unknown): unknown {
  const entries = Object.entries(given as Record<string, unknown>).map(([name, text]) => {
    const property = schema.properties[name];
    return [name, property && typeof text === "string" ? valueFromText(property, text) : text];
  });
  return Object.fromEntries(entries);
}

function placedIn(httpPart: string | undefined): (fault: InputFault) => InputFault {
  if (httpPart === "querystring") return (fault) => ({ ...fault, where: `?${fault.where}` });
  if (httpPart === "params") return (fault) => ({ ...fault, where: `{${fault.where}}` });
  return (fault) => fault;
}
