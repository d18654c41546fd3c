import { testConnection, usesOf } from "../app/service/connection-test.ts";
import { type Connection, type Connections, loadConnections } from "../config/index.ts";
import { type Finding, toHeadraceErrors } from "../core/index.ts";
import type { CheckAnswer, ConnectionItem } from "./api.ts";
import { notFound, problemOf } from "./failure.ts";
import { entryOf } from "./pipelines.ts";
import { param, type Route, route, type ServerContext } from "./route.ts";
import { runRequest } from "./schemas/runs.ts";
import { checkAnswer, connectionList, planAnswer } from "./schemas/tables.ts";
import { planOptions } from "./work.ts";

async function projectConnections({ service }: ServerContext): Promise<Connections> {
	const connections = await loadConnections(service.directory, { env: service.env });
	return connections;
}

function itemOf(context: ServerContext, name: string, connections: Connections): ConnectionItem {
	const { service } = context;
	const used_by = usesOf(service.sound(), name).map(({ pipeline, role }) => ({ pipeline: pipeline.name, role }));
	try {
		const connection = connections.get(name);
		service.redactor.addFrom(connection);
		return {
			name,
			type: connection.type,
			host: hostOf(connection),
			address: connection.address,
			tls: tlsOf(connection),
			secrets: Object.entries(connection.origins).map(([key, reference]) => ({ key, reference })),
			used_by,
			problems: [],
		};
	} catch (thrown) {
		const problems = toHeadraceErrors(thrown).map((error) => problemOf(error, service.directory));
		return { name, type: null, host: null, address: null, tls: null, secrets: [], used_by, problems };
	}
}

function hostOf(connection: Connection): string | null {
	if ("host" in connection) return `${connection.host}:${connection.port}`;
	if (connection.type === "snowflake") return connection.endpoint ?? `${connection.account}.snowflakecomputing.com`;
	if ("endpoint" in connection && connection.endpoint !== undefined) return connection.endpoint;
	return "bucket" in connection && connection.bucket !== undefined ? `s3://${connection.bucket}` : null;
}

function tlsOf(connection: Connection): ConnectionItem["tls"] {
	if (connection.type === "file" || connection.type === "duckdb") return "none";
	if ("tls" in connection && connection.tls !== undefined) return connection.tls;
	return "on";
}

function findingsOf(findings: readonly (Finding & { readonly subject?: string })[], subject: string) {
	return findings.map(({ severity, message, remedy, subject: own }) => ({
		subject: own ?? subject,
		severity,
		message,
		remedy: remedy ?? null,
	}));
}

/** Errors of a check are what it found: the answer is 200. */
async function checked(
	subject: string,
	work: () => Promise<readonly (Finding & { readonly subject?: string })[]>,
): Promise<CheckAnswer> {
	const started = performance.now();
	let findings: CheckAnswer["findings"];
	try {
		findings = findingsOf(await work(), subject);
	} catch (thrown) {
		findings = toHeadraceErrors(thrown).map((error) => ({
			subject,
			severity: "error" as const,
			message: `${error.code} ${error.message}`,
			remedy: error.hint,
		}));
	}
	const ok = findings.every(({ severity }) => severity !== "error");
	return { ok, findings, seconds: (performance.now() - started) / 1000 };
}

export const CONNECTION_ROUTES: readonly Route[] = [
	route({
		method: "GET",
		path: "/api/connections",
		summary: "The connections of connections.yaml, without their secrets",
		role: "viewer",
		answer: connectionList,
		async handle({ context }) {
			const connections = await projectConnections(context);
			return { connections: connections.names.map((name) => itemOf(context, name, connections)) };
		},
	}),
	route({
		method: "POST",
		path: "/api/connections/:connection/test",
		summary: "Connects, and looks at rights and settings",
		role: "operator",
		answer: checkAnswer,
		action: "connection test",
		async handle(request) {
			const { service } = request.context;
			const name = param(request, "connection");
			const connections = await projectConnections(request.context);
			if (!connections.names.includes(name)) throw notFound(`connection ${JSON.stringify(name.slice(0, 100))}`);
			return checked(name, async () => {
				const connection = connections.get(name);
				service.redactor.addFrom(connection);
				return testConnection(service.directory, connection, usesOf(service.sound(), name));
			});
		},
	}),
	route({
		method: "POST",
		path: "/api/pipelines/:pipeline/check",
		summary: "As `headrace check`: connects to everything; rights, settings, unfinished work",
		role: "operator",
		answer: checkAnswer,
		action: "check",
		handle(request) {
			const { service } = request.context;
			const { name } = entryOf(request);
			return checked(name, async () => (await service.app.check(service.catalog.pipeline(name))).findings);
		},
	}),
	route({
		method: "POST",
		path: "/api/pipelines/:pipeline/plan",
		summary: "As `headrace plan`: what a run would do; changes nothing",
		role: "operator",
		body: runRequest,
		answer: planAnswer,
		action: "plan",
		async handle(request) {
			const { service } = request.context;
			const pipeline = service.catalog.pipeline(entryOf(request).name);
			const plan = await service.app.plan(pipeline, { ...planOptions(pipeline, request.body), signal: request.signal });
			return {
				pipeline: plan.pipeline,
				tables: plan.tables.map(({ table, into, mode, write, key, change, estimated_rows, ddl, notes, columns }) => ({
					...{ table, into, mode, write, key, change, estimated_rows, ddl, notes },
					columns: columns.map(({ name, source_type, destination_type, fidelity, note }) => ({
						...{ name, source_type, destination_type, fidelity, note },
					})),
				})),
				findings: findingsOf(plan.findings, plan.pipeline),
			};
		},
	}),
];
