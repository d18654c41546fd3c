import { timeOf } from "../app/service/change-watch.ts";
import type { CheckedPipeline } from "../config/index.ts";
import { decodePosition, positionText, type StoredPosition } from "../core/index.ts";
import type { TablePage } from "./api.ts";
import { notFound } from "./failure.ts";
import { entryOf, freshnessOf } from "./pipelines.ts";
import { param, type Route, route, type ServerContext } from "./route.ts";
import { tablePage } from "./schemas/tables.ts";

const RUNS_SHOWN = 200;

async function pageOf(
	context: ServerContext,
	name: string,
	pipeline: CheckedPipeline | null,
	table: string,
): Promise<TablePage> {
	const { service } = context;
	const { server } = service.state;
	const runs = await server.tableRuns(name, table, RUNS_SHOWN);
	const [last] = runs;
	if (last === undefined) throw notFound(`table ${JSON.stringify(table.slice(0, 200))} in a run of ${name}`);
	const columns = await server.columns(name, table);
	return {
		pipeline: name,
		table,
		into: last.receipt.into,
		mode: last.receipt.mode,
		write: last.receipt.write,
		key: columns?.key ?? [],
		freshness: await freshnessOf(context, pipeline, table),
		position: positionOf(await service.state.positions(name), table),
		last: last.receipt,
		history: runs
			.map(({ run_id, started_at, receipt }) => ({
				run_id,
				started_at,
				state: receipt.state,
				rows: receipt.rows_loaded,
				rows_deleted: receipt.rows_deleted,
				bytes: receipt.bytes,
				seconds: receipt.seconds,
			}))
			.reverse(),
		columns: columns?.columns ?? [],
		columns_at: columns?.seenAt ?? null,
		schema_changes: runs.flatMap(({ run_id, started_at, receipt }) =>
			receipt.schema_changes === undefined ? [] : [{ run_id, at: started_at, changes: receipt.schema_changes }],
		),
	};
}

/** The newest position of a table: one that is read by intervals has one for each. */
function positionOf(positions: readonly StoredPosition[], table: string): TablePage["position"] {
	const [row] = positions
		.filter(({ stream }) => stream === table || stream.startsWith(`${table}@`))
		.sort((a, b) => (a.stream < b.stream ? 1 : -1));
	if (row === undefined || row.position === null) return null;
	const { committedAt, loadId } = row;
	const at = committedAt === null ? Number.NaN : timeOf(committedAt);
	return {
		text: textOf(row.position),
		committed_at: Number.isNaN(at) ? null : new Date(at).toISOString(),
		load_id: loadId,
	};
}

/** As people read it; one that can't be read is shown as it is, never guessed. */
function textOf(position: string): string {
	try {
		return positionText(decodePosition(position)) ?? "";
	} catch {
		return position;
	}
}

export const TABLE_ROUTES: readonly Route[] = [
	route({
		method: "GET",
		path: "/api/pipelines/:pipeline/tables/:table",
		summary: "One table: rows and bytes over time, columns and their types, changes of its columns, position",
		role: "viewer",
		answer: tablePage,
		handle(request) {
			const { name, pipeline } = entryOf(request);
			return pageOf(request.context, name, pipeline, param(request, "table"));
		},
	}),
];
