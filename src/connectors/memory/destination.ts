import { timestampText } from "../../core/calendar.ts";
import { typeName } from "../../core/column-type.ts";
import type {
	ApplyRequest,
	ApplyResult,
	Destination,
	ExistingTable,
	LoadRequest,
	LoadResult,
	PositionMove,
	PositionRow,
} from "../../core/destination.ts";
import { HeadraceError } from "../../core/errors.ts";
import { encodeColumns } from "../../core/schema.ts";
import { qualified, type TableName } from "../../core/table.ts";
import { applyLoad, columnsAfter } from "./apply.ts";
import { changedTables } from "./changes.ts";
import { type MemoryColumn, tableId } from "./database.ts";
import { checkPosition, rowsOf } from "./incoming.ts";
import { memoryParts, withoutUnfinished } from "./parts.ts";
import type { Row } from "./values.ts";
import { type LoadRow, type MemoryWarehouse, streamId, type WarehouseState, type WarehouseTable } from "./warehouse.ts";

export interface MemoryDestinationOptions {
	/** Microseconds since 1970; default the machine's clock. */
	readonly clock?: () => bigint;
}

/** Loads into a `MemoryWarehouse` through the port of a destination: each load is one transaction, or nothing. */
export function memoryDestination(warehouse: MemoryWarehouse, options: MemoryDestinationOptions = {}): Destination {
	const now = () => timestampText(options.clock?.() ?? BigInt(Date.now()) * 1000n);
	return {
		accepts: { batches: true, formats: [] },
		writes: ["replace", "merge", "append"],
		mapType: (type) => ({ destinationType: typeName(type), fidelity: "exact" }),
		foldName: (name) => name,
		check: async () => [{ severity: "ok", message: "tables are in this process's memory" }],
		describe: async (name) => describe(warehouse.state.tables.get(tableId(name))),
		planDdl: async (target, write) => planDdl(warehouse, { target, write }),
		takeOver: async (pipeline, streams) => takeOver(warehouse, pipeline, streams),
		positions: async (pipeline) =>
			[...warehouse.state.positions].flatMap(([id, row]) => (id === streamId(pipeline, row.stream) ? [row] : [])),
		schemas: async (pipeline) =>
			[...warehouse.state.schemas].flatMap(([id, schema]) =>
				id === streamId(pipeline, schema.stream) ? [schema] : [],
			),
		committed: async (loadId) => warehouse.state.loads.has(loadId),
		load: async (request) => commitLoad(warehouse, request, await rowsOf(checked(warehouse, request)), now),
		parts: memoryParts(warehouse, (request, rows) => commitLoad(warehouse, request, rows, now)),
		changes: {
			writes: ["merge", "append", "history"],
			apply: async (request) => commitChanges(warehouse, request, now),
		},
		[Symbol.asyncDispose]: async () => {},
	};
}

function describe(table: WarehouseTable | undefined): ExistingTable | null {
	if (table === undefined) return null;
	return {
		columns: table.columns.map(({ name, type, nullable }) => ({ name, destinationType: typeName(type), nullable })),
		key: table.key,
		rows: table.rows.length,
	};
}

function planDdl(warehouse: MemoryWarehouse, shape: Pick<LoadRequest, "target" | "write">): string[] {
	const old = warehouse.state.tables.get(tableId(shape.target.name));
	const columns = columnsAfter(old, shape);
	const name = qualified(shape.target.name);
	const columnText = (column: MemoryColumn) =>
		`${column.name} ${typeName(column.type)}${column.nullable ? "" : " not null"}`;
	if (old === undefined) return [`create table ${name} (${columns.map(columnText).join(", ")})`];
	const known = new Set(old.columns.map((column) => column.name));
	return columns
		.filter((column) => !known.has(column.name))
		.map((column) => `alter table ${name} add column ${columnText(column)}`);
}

async function takeOver(
	warehouse: MemoryWarehouse,
	pipeline: string,
	streams: readonly string[],
): Promise<Map<string, PositionRow>> {
	const before = warehouse.state;
	const positions = new Map(before.positions);
	const taken = new Map<string, PositionRow>();
	const unknown: Omit<PositionRow, "stream"> = {
		epoch: 0,
		seq: 0,
		position: null,
		loadId: null,
		schemaVersion: null,
		committedAt: null,
	};
	for (const stream of streams) {
		const old = positions.get(streamId(pipeline, stream)) ?? { stream, ...unknown };
		const row = { ...old, epoch: old.epoch + 1 };
		positions.set(streamId(pipeline, stream), row);
		taken.set(stream, row);
	}
	warehouse.commit(before, { ...before, positions });
	return taken;
}

/** Asked before the rows are read: a run that is fenced already must not read everything to learn it. @throws E_FENCED */
function checked(warehouse: MemoryWarehouse, request: LoadRequest): LoadRequest {
	if (request.write === "history")
		throw new HeadraceError("E_UNSUPPORTED", "a warehouse in memory keeps history of changes only");
	checkPosition(warehouse, request);
	return request;
}

async function commitLoad(
	warehouse: MemoryWarehouse,
	request: Omit<LoadRequest, "input">,
	incoming: readonly Row[],
	now: () => string,
): Promise<LoadResult> {
	const position = checkPosition(warehouse, request);
	const before = warehouse.state;
	const id = tableId(request.target.name);
	const { table, result } = applyLoad(before.tables.get(id), request, incoming);
	const { pipeline, stream, loadId } = request;
	const committedAt = now();
	// Nothing to ask, no turn given away: another load's commit in between would be a conflict.
	if (request.verify !== undefined) await request.verify({ relation: id, query: withoutSql });
	warehouse.commit(before, {
		tables: new Map(before.tables).set(id, table),
		positions: positionsAfter(before, request, position, committedAt),
		loads: loadsAfter(before, [loadRow(request, { loadId, table: request.target.name, result }, committedAt)]),
		schemas: schemasAfter(before.schemas, request, committedAt),
		unfinished: withoutUnfinished(before, [streamId(pipeline, stream)]),
	});
	return result;
}

async function commitChanges(
	warehouse: MemoryWarehouse,
	request: ApplyRequest,
	now: () => string,
): Promise<ApplyResult> {
	const { before, tables, parts } = await changedTables(warehouse, request);
	const { pipeline, stream, loadId } = request;
	const committedAt = now();
	const none = { rowsReceived: 0, rowsInserted: 0, rowsUpdated: 0, rowsDeleted: 0, rowsSuperseded: 0 };
	const rows = [
		loadRow(request, { loadId, table: { schema: "", name: stream }, result: none }, committedAt),
		...request.parts.map((part, index) =>
			loadRow(request, { loadId: part.loadId, table: part.target.name, result: parts[index]! }, committedAt),
		),
	];
	warehouse.commit(before, {
		tables,
		positions: positionsAfter(before, request, checkPosition(warehouse, request), committedAt),
		loads: loadsAfter(before, rows),
		schemas: request.parts.reduce(
			(schemas, part) => schemasAfter(schemas, { ...part, pipeline }, committedAt),
			before.schemas,
		),
		unfinished: withoutUnfinished(before, [streamId(pipeline, stream)]),
	});
	return { parts };
}

function positionsAfter(before: WarehouseState, request: PositionMove, old: PositionRow, committedAt: string) {
	const { pipeline, stream, loadId, toPosition, schemaVersion } = request;
	return new Map(before.positions).set(streamId(pipeline, stream), {
		stream,
		epoch: old.epoch,
		seq: old.seq + 1,
		position: toPosition,
		loadId,
		schemaVersion,
		committedAt,
	});
}

function loadRow(
	{ pipeline, fromPosition, toPosition }: PositionMove,
	of: { readonly loadId: string; readonly table: TableName; readonly result: LoadResult },
	committedAt: string,
): LoadRow {
	const { rowsInserted, rowsUpdated, rowsDeleted } = of.result;
	const { loadId, table } = of;
	return { loadId, pipeline, table, fromPosition, toPosition, rowsInserted, rowsUpdated, rowsDeleted, committedAt };
}

function loadsAfter(before: WarehouseState, rows: readonly LoadRow[]): WarehouseState["loads"] {
	const loads = new Map(before.loads);
	for (const row of rows) {
		if (loads.has(row.loadId)) throw new HeadraceError("E_DESTINATION", `load ${row.loadId} is committed already`);
		loads.set(row.loadId, row);
	}
	return loads;
}

async function withoutSql(): Promise<never> {
	throw new HeadraceError("E_UNSUPPORTED", "a warehouse in memory has no SQL");
}

function schemasAfter(
	before: WarehouseState["schemas"],
	request: Pick<LoadRequest, "pipeline" | "schema" | "schemaVersion">,
	committedAt: string,
) {
	const { pipeline, schema, schemaVersion } = request;
	if (schema === undefined) return before;
	const id = streamId(pipeline, schema.stream);
	const last = before.get(id);
	if (last !== undefined && encodeColumns(last.columns) === encodeColumns(schema.columns)) return before;
	return new Map(before).set(id, { ...schema, version: schemaVersion, committedAt });
}
