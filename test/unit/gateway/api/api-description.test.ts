import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv2020 } from "ajv/dist/2020.js";
import { AnswerCheck } from "../../../support/answer-check.ts";
import { apiDocument } from "../../../support/api-document.ts";

const document = await apiDocument();
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ name: `${method} ${path}`, operation })),
);

async function validityOf(description: object) {
  // The validator changes its argument.
  return await new Validator().validate(structuredClone(description) as Parameters<Validator["validate"]>[0]);
}

describe("the description of the HTTP API", () => {
  test("it is OpenAPI 3.1, by the standard's own schema; one that is not is found", async () => {
    assert.equal(document.openapi, "3.1.0");
    assert.deepEqual(await validityOf(document), { valid: true });
    const broken = structuredClone<object>(document) as { paths: Record<string, { get: object }> };
    Object.assign(broken.paths["/livez"]?.get ?? {}, { operationId: 7 });
    assert.equal((await validityOf(broken)).valid, false);
  });

  test("its schemas are JSON Schema 2020-12, and every reference leads somewhere", () => {
    const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, strictRequired: true });
    ajv.addSchema({ ...document.components, $id: "components" }, "components");
    ajv.addVocabulary(["components", "schemas", "securitySchemes"]);
    const local = (schema: object) =>
      JSON.parse(JSON.stringify(schema).replaceAll("#/components/", "components#/"));
    const found = operations.flatMap(({ operation }) => [
      ...Object.values(operation.responses).flatMap(({ content }) => Object.values(content)),
      ...Object.values(operation.requestBody?.content ?? {}),
    ]);
    for (const { schema } of found) assert.ok(ajv.validateSchema(local(schema)), ajv.errorsText());
    for (const schema of Object.values(document.components.schemas))
      assert.ok(ajv.validateSchema(schema), ajv.errorsText());
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)];
    assert.ok(references.length > 50);
    for (const [, name] of references) assert.ok(document.components.schemas[name ?? ""], name);
  });

  test("every operation has an id of its own, a summary, described tags, and all its answers", () => {
    const ids = operations.map(({ operation }) => operation.operationId);
    assert.equal(new Set(ids).size, ids.length);
    const tags = document.tags.map(({ name }) => name);
    for (const { name, operation } of operations) {
      assert.match(operation.operationId ?? "", /^[a-z][A-Za-z]+$/, name);
      assert.ok(operation.summary, name);
      assert.ok(
        operation.tags.every((tag) => tags.includes(tag)),
        name,
      );
      for (const parameter of operation.parameters ?? [])
        assert.ok(parameter.description, `${name} ${parameter.name}`);
      const isOpen = operation.security?.length === 0;
      const statuses = Object.keys(operation.responses);
      const always = isOpen ? ["500"] : ["401", "421", "500"];
      const asked = operation.parameters || operation.requestBody ? ["400"] : [];
      for (const status of [...always, ...asked]) assert.ok(statuses.includes(status), `${name} ${status}`);
      if (operation.requestBody) assert.ok(statuses.includes("413"), name);
      assert.ok(
        statuses.some((status) => status.startsWith("2")),
        name,
      );
      for (const [status, response] of Object.entries(operation.responses))
        assert.ok(
          response.description.length > 5 && Object.keys(response.content).length > 0,
          `${name} ${status}`,
        );
    }
  });

  test("it leaves out keywords for the gateway's own texts", () => {
    assert.doesNotMatch(JSON.stringify(document), /"expected":"|"secret":true|"unit":"/);
  });

  test("an answer that its schema does not describe is found", () => {
    const check = new AnswerCheck(document);
    const answer = {
      method: "GET",
      url: "/livez?x",
      status: 200,
      contentType: "application/json; charset=utf-8",
    };
    assert.equal(check.faultOf({ ...answer, body: '{"status":"ok"}' }), null);
    assert.match(check.faultOf({ ...answer, body: '{"status":"well"}' }) ?? "", /status/);
    assert.match(check.faultOf({ ...answer, body: '{"status":"ok","more":1}' }) ?? "", /additional/);
    assert.match(check.faultOf({ ...answer, status: 202, body: "{}" }) ?? "", /no such status/);
    assert.match(check.faultOf({ ...answer, contentType: "text/html", body: "" }) ?? "", /text\/html/);
    assert.match(check.faultOf({ ...answer, url: "/nowhere", status: 404, body: "{}" }) ?? "", /code/);
    const refused = { code: "TOPIC_UNKNOWN", message: "no", retryable: false, where: null };
    const missing = { ...answer, url: "/v1/topics/no", status: 404, body: JSON.stringify(refused) };
    assert.equal(check.faultOf(missing), null);
    assert.match(check.faultOf({ ...missing, body: '{"code":1}' }) ?? "", /code/);
  });
});
