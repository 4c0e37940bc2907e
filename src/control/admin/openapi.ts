// The OpenAPI document (3.1) of the admin listener's API, made of the schemas that it is checked by. Pure. Called by admin.ts.

import { z } from "zod";

import manifest from "../../../package.json" with { type: "json" };
import type { Operation, Operations } from "./api/operation.ts";
import { failure } from "./schemas.ts";

export function openApi(operations: Operations): object {
  const paths = Object.entries(operations).map(([path, methods]) => {
    const described = Object.entries(methods).map(([method, operation]) => {
      return [method.toLowerCase(), describe(operation)] as const;
    });
    return [path, Object.fromEntries(described)] as const;
  });
  return {
    openapi: "3.1.0",
    info: { title: manifest.name, version: manifest.version },
    components: { securitySchemes: { token: { type: "http", scheme: "bearer" } } },
    security: [{}, { token: [] }],
    paths: Object.fromEntries(paths),
  };
}

function describe({ summary, description, query, body, answers, type }: Operation): object {
  const content = (schema: z.ZodType, io: "input" | "output", of = "application/json") => ({
    [of]: { schema: z.toJSONSchema(schema, { io }) },
  });
  return {
    summary,
    ...(description === undefined ? {} : { description }),
    ...(query === undefined ? {} : { parameters: parametersOf(query) }),
    ...(body === undefined
      ? {}
      : { requestBody: { required: true, content: content(body, "input") } }),
    responses: {
      200: { description: "Done.", content: content(answers, "output", type) },
      default: { description: "Not done, and why.", content: content(failure, "output") },
    },
  };
}

function parametersOf(query: z.ZodObject): object[] {
  const { properties = {} } = z.toJSONSchema(query, { io: "input", unrepresentable: "any" });
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: "query",
    required: false,
    schema,
  }));
}
