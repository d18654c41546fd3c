import { z } from "zod";
import type { Route } from "./route.ts";
import { failure } from "./schemas/pipelines.ts";

type Json = Record<string, unknown>;

/** The OpenAPI document of the routes: https://spec.openapis.org/oas/v3.1.1 */
export function openApiOf(routes: readonly Route[], version: string): Json {
	const paths: Record<string, Json> = {};
	for (const route of routes) {
		const path = route.path.replace(/:(\w+)/g, "{$1}");
		paths[path] ??= {};
		paths[path][route.method.toLowerCase()] = operationOf(route);
	}
	return {
		openapi: "3.1.0",
		info: {
			title: "Headrace",
			version,
			description: "What `headrace serve` can be asked. See docs/api.md.",
			license: { name: "Apache-2.0", identifier: "Apache-2.0" },
		},
		paths,
		components: {
			schemas: { Failure: schemaOf(failure, "output") },
			securitySchemes: {
				token: { type: "http", scheme: "bearer", description: "An API token: `headrace serve token add`" },
				session: { type: "apiKey", in: "cookie", name: "headrace_session" },
			},
		},
	};
}

function operationOf({ method, path, summary, role, query, body, answer, status, media }: Route): Json {
	const parameters = [
		...[...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
			name,
			in: "path",
			required: true,
			schema: { type: "string" },
		})),
		...parametersOf(query),
	];
	const good =
		answer === undefined
			? { description: "Done" }
			: { description: "Done", content: { [media ?? "application/json"]: { schema: schemaOf(answer, "output") } } };
	const bad = (description: string) => ({
		description,
		content: { "application/json": { schema: { $ref: "#/components/schemas/Failure" } } },
	});
	return {
		summary: role === null ? summary : `${summary} (${role})`,
		operationId: `${method.toLowerCase()}${path.replace(/^\/api/, "").replace(/[/:_-]+(\w)/g, (_all, letter: string) => letter.toUpperCase())}`,
		...(parameters.length === 0 ? {} : { parameters }),
		...(body === undefined
			? {}
			: { requestBody: { required: true, content: { "application/json": { schema: schemaOf(body, "input") } } } }),
		responses: {
			[String(answer === undefined ? 204 : (status ?? 200))]: good,
			400: bad("The request is wrong"),
			...(role === null ? {} : { 401: bad("Nobody is logged in"), 403: bad("The role does not suffice") }),
			...(path.includes(":") ? { 404: bad("There is nothing of that name") } : {}),
		},
		security: role === null ? [] : [{ token: [] }, { session: [] }],
	};
}

function parametersOf(query: z.ZodType | undefined): Json[] {
	if (query === undefined) return [];
	const { properties = {}, required = [] } = schemaOf(query, "input") as {
		properties?: Record<string, Json>;
		required?: string[];
	};
	return Object.entries(properties).map(([name, { description, ...schema }]) => ({
		name,
		in: "query",
		required: required.includes(name),
		...(description === undefined ? {} : { description }),
		schema,
	}));
}

function schemaOf(schema: z.ZodType, io: "input" | "output"): Json {
	const { $schema: _version, ...rest } = z.toJSONSchema(schema, { target: "draft-2020-12", io }) as Json;
	return rest;
}
