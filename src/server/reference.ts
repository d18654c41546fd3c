import { z } from "zod";
import { ROUTES } from "./http.ts";
import type { Route } from "./route.ts";

/** The reference of the HTTP API as Markdown, from the table of its routes. */
export function apiReference(): string {
	return [
		"# HTTP API reference",
		"",
		"Generated from the routes of `headrace serve`. The same with every field of every answer, for programs:",
		"`GET /api/openapi.json` of a running server (OpenAPI 3.1). How to log in: [api.md](../api.md).",
		"",
		"| request | least role | does | takes |",
		"|---|---|---|---|",
		...ROUTES.map(row),
		"| `GET /api/openapi.json` | anybody | This API as an OpenAPI document | |",
		"| `GET /metrics` | viewer | Metrics in Prometheus' text format | |",
		"| `GET /livez` | anybody | 200 while the process answers | |",
		"| `GET /readyz` | anybody | 200, and 503 from the moment that it is to stop | |",
		"",
	].join("\n");
}

function row({ method, path, role, summary, query, body }: Route): string {
	const request = `${method} ${path.replaceAll(/:(\w+)/g, "{$1}")}`;
	const takes = [
		...fieldsOf(query).map((field) => `\`?${field}=\``),
		...(body === undefined ? [] : [`\`{ ${fieldsOf(body).join(", ")} }\``]),
	];
	return `| \`${request}\` | ${role ?? "anybody"} | ${summary} | ${takes.join(" ")} |`;
}

/** Names of the fields; those that may be left out with a question mark. */
function fieldsOf(schema: z.ZodType | undefined): string[] {
	if (schema === undefined) return [];
	const { properties = {}, required = [] } = z.toJSONSchema(schema, { io: "input" });
	const isQuery = !(schema instanceof z.ZodReadonly);
	return Object.keys(properties).map((name) => (isQuery || required.includes(name) ? name : `${name}?`));
}
