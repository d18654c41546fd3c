import { isAbsolute, relative, resolve } from "node:path";
import { type Batch, type Field, HeadraceError, type LoadRequest } from "../../core/index.ts";
import { EngineConnection, ParquetFormat, parquetRelation, selectList } from "../../engine/index.ts";
import { duckdbDialect, quotedList } from "../../sql/index.ts";
import type { Session } from "./session.ts";

export interface IntoTable {
	/** Quoted. */
	readonly table: string;
	/** Names of its columns, where they are not the target's. */
	readonly columnOf?: (name: string) => string;
	/** One or more connections; with several each works in its own transaction and rows lose their order. */
	readonly lanes: readonly Session[];
	readonly request: Pick<LoadRequest, "input" | "target" | "signal" | "bufferBytesMax">;
	/** A column more, the same text in each row. */
	readonly constant?: { readonly column: string; readonly text: string };
	/** Files in these folders can be read by the engine itself. */
	readonly readableDirectories: readonly string[];
}

/** Puts the load's rows into a table, in their order when there is one lane; gives how many there were. */
export async function insertInput(into: IntoTable): Promise<number> {
	const { request, lanes } = into;
	const { input, target, signal } = request;
	const fields = inTargetOrder(input.fields, request);
	const names = fields.map((field) => field.name);
	const all = into.constant === undefined ? names : [...names, into.constant.column];
	const columns = quotedList(duckdbDialect, into.columnOf === undefined ? all : all.map(into.columnOf));
	const more = into.constant === undefined ? "" : `, ${duckdbDialect.quoteLiteral(into.constant.text)}`;
	const insert = (items: string, relation: string) =>
		`INSERT INTO ${into.table} (${columns}) SELECT ${items}${more} FROM ${relation}`;
	const context = { columns: names, key: target.key, keepsValues: true };

	if (input.kind === "files" && input.localPaths.length === 0) return 0;
	if (input.kind === "files" && input.format instanceof ParquetFormat && readable(into, input.localPaths)) {
		const relation = parquetRelation(input.localPaths, input.fields);
		return lanes[0]!.execute(insert(quotedList(duckdbDialect, names), relation), [], context);
	}
	const batches = input.kind === "batches" ? input.batches : readAll(input);
	const { rows } = await EngineConnection.consumeInLanes(
		lanes.map((lane) => lane.connection),
		{
			fields: input.fields,
			batches,
			statement: (relation) => insert(selectList(fields), relation),
			bufferBytesMax: request.bufferBytesMax,
			threads: 1,
			context,
			...(signal === undefined ? {} : { signal }),
		},
	);
	return rows;
}

/** The input's fields that the target has, by the target's order. */
function inTargetOrder(fields: readonly Field[], { target }: Pick<LoadRequest, "target">): Field[] {
	return target.columns.map((column) => {
		const field = fields.find((other) => other.name === column.name);
		if (field === undefined)
			throw new HeadraceError("E_INTERNAL", `the rows for ${target.name.name} lack the column ${column.name}`);
		return field;
	});
}

function readable({ readableDirectories }: IntoTable, paths: readonly string[]): boolean {
	return paths.every((path) =>
		readableDirectories.some((folder) => {
			const inside = relative(resolve(folder), resolve(path));
			return inside !== "" && !inside.startsWith("..") && !isAbsolute(inside);
		}),
	);
}

async function* readAll(input: Extract<LoadRequest["input"], { kind: "files" }>): AsyncGenerator<Batch> {
	for (const path of input.localPaths) yield* input.format.read(path, input.fields);
}
