import {
	CHANGE_BASE_COLUMN,
	type ChangesPart,
	changeColumns,
	DELETED_AT_COLUMN,
	type Field,
	HeadraceError,
	HISTORY_COLUMNS,
	keepsDeleted,
	type LoadResult,
	requireKey,
	type Staging,
	type TableName,
} from "../../core/index.ts";
import {
	applyStaged,
	countsOf,
	createTable,
	duckdbType,
	type EngineConnection,
	fieldsAfter,
	renameStaged,
	type StagedChanges,
	settleStaged,
	storedAs,
} from "../../engine/index.ts";
import { duckdbDialect, quotedList, stageColumn, staged as stagedName } from "../../sql/index.ts";
import { type LakeResources, memoryOf } from "./engine.ts";
import { FileWriter } from "./file-writer.ts";
import type { BuiltFiles } from "./load-builder.ts";
import { withLocal } from "./local-files.ts";
import { relationOf } from "./relation.ts";
import { filesToRewrite, levelsAfter, removedWithEmpty } from "./shape.ts";
import type { LakeTable } from "./table.ts";
import { fieldsOf, type LakeFile, storedColumns, type TableState } from "./table-state.ts";
import { filesHolding, filesOfKeys, rangedColumns, type Search } from "./touched.ts";
import { mapType, storedType } from "./types.ts";

const { quoteIdentifier } = duckdbDialect;

/** Bytes that a row takes in memory for each that it has in a file, about. */
const MEMORY_FACTOR = 6;
const ROW_BYTES_MIN = 16;

/** The parts of one table, staged. */
export interface StagedTable {
	readonly table: LakeTable;
	readonly parts: readonly LakeStagedPart[];
}

interface LakeStagedPart extends StagedChanges {
	/** Place of the part in its request. */
	readonly index: number;
	readonly bytes: number;
}

/** What a transaction makes of one table. */
export interface BuiltChanges extends BuiltFiles {
	readonly table: LakeTable;
	readonly base: TableState | null;
	/** By the part's place in the request. */
	readonly results: ReadonlyMap<number, LoadResult>;
	readonly parts: readonly ChangesPart[];
}

/** Works out what the changes of a log make of tables, and writes their files. */
export class ChangesBuilder {
	readonly #store: Staging;
	readonly #resources: LakeResources;
	readonly #partitionBy: readonly string[];

	constructor(store: Staging, resources: LakeResources, partitionBy: readonly string[]) {
		this.#store = store;
		this.#resources = resources;
		this.#partitionBy = partitionBy;
	}

	/**
	 * Puts the rows of a part into a temporary table, in their order, in the types of the lake's files.
	 * @throws E_KEY_REQUIRED, E_NULL_KEY, E_VALUE
	 */
	async stage(
		connection: EngineConnection,
		part: ChangesPart,
		index: number,
		request: { readonly bufferBytesMax: number; readonly signal?: AbortSignal },
	): Promise<LakeStagedPart> {
		requireKey(part);
		const { target, input } = part;
		const columns = changeColumns(part, (type) => mapType(type).destinationType);
		const stored = columns.map((column) => ({ ...column, type: storedType(column.type) }));
		const stage = `stage_${index}`;
		await createTable(
			connection,
			stage,
			stored.map((column) => ({ ...column, name: stageColumn(duckdbDialect, column.name) })),
		);
		const isOwn = new Set(target.columns.map(({ name }) => name));
		const names = columns.map(({ name }) => name).filter((name) => isOwn.has(name));
		const tables = { target: `target_${index}`, stage, key: target.key, columns: names };
		let rows = 0;
		let bytes = 0;
		const streams =
			input.kind === "batches"
				? [input.batches]
				: input.localPaths.map((path) => input.format.read(path, input.fields));
		for (const batches of streams) {
			const taken = await connection.consume({
				fields: input.fields,
				batches,
				// One thread: rows are numbered as they came, and the number says which is the later one.
				statement: (relation) =>
					`INSERT INTO ${stage} SELECT ${columns.map((column, place) => storedAs(column, stored[place]!)).join(", ")} FROM ${relation}`,
				bufferBytesMax: request.bufferBytesMax,
				threads: 1,
				context: { columns: names, key: target.key, keepsValues: true },
				...(request.signal === undefined ? {} : { signal: request.signal }),
			});
			rows += taken.rows;
			bytes += taken.bytes;
		}
		return { ...(await settleStaged(connection, part, tables, rows)), index, bytes };
	}

	/** The columns and folders of a table after all its parts. @throws E_SCHEMA, E_UNSUPPORTED, E_NAME_COLLISION */
	shapeAfter(state: TableState | null, name: TableName, parts: readonly ChangesPart[]): TableShape {
		const known = state === null || state.form === null ? null : fieldsOf(state.form.columns);
		let columns: readonly ColumnOrigin[] = (known ?? []).map((field) => ({ field, before: field.name, fill: null }));
		const renames: { readonly part: number; readonly from: string; readonly to: string }[] = [];
		for (const [index, { target }] of parts.entries()) {
			const old = columns.map(({ field }) => field);
			const isNew = known === null && index === 0;
			const fields = fieldsAfter(isNew ? null : old, { target, write: "merge" }, storedType);
			columns = fields.map((field, place): ColumnOrigin => {
				const before = isNew ? undefined : columns[place];
				if (before === undefined) {
					const column = target.columns.find(({ name: other }) => other === field.name);
					return { field, before: null, fill: column?.fill === true ? (column.defaultSql ?? null) : null };
				}
				if (before.field.name !== field.name) renames.push({ part: index, from: before.field.name, to: field.name });
				return { ...before, field };
			});
		}
		const fields = columns.map(({ field }) => field);
		const levels = levelsAfter(state?.form ?? null, this.#partitionBy, fields, name);
		return { known, fields, levels, isReplace: false, columns, renames };
	}

	/**
	 * Writes the files of a table; the stages stay as they are. The caller discards `writer`'s files unless they are
	 * committed.
	 * @throws E_BASE_MISSING, and what `shapeAfter` throws
	 */
	async build(
		connection: EngineConnection,
		{ table, parts: asStaged }: StagedTable,
		base: TableState | null,
	): Promise<BuiltChanges> {
		const requests = asStaged.map(({ part }) => part);
		const shape = this.shapeAfter(base, table.name, requests);
		const { fields, levels } = shape;
		const last = requests.at(-1)!;
		const ranged = rangedColumns({ target: last.target }, fields, base?.form?.ranged ?? []);
		const writer = new FileWriter({
			store: this.#store,
			folder: table.folder,
			name: last.loadId,
			fields,
			levels,
			ranged,
			engineMemoryBytes: memoryOf(this.#resources),
		});
		const form = {
			columns: storedColumns(fields),
			// Versions and changes share keys.
			key: last.write === "merge" ? last.target.key : [],
			partition_by: levels.map(({ text }) => text),
			ranged,
		};
		try {
			const target = `target_${asStaged[0]!.index}`;
			const parts: LakeStagedPart[] = [];
			for (const [index, one] of asStaged.entries()) {
				const work = `work_${one.index}`;
				await connection.execute(`CREATE OR REPLACE TEMP TABLE ${work} AS SELECT * FROM ${one.tables.stage}`);
				const renames = shape.renames.filter(({ part }) => part > index);
				const nameOf = (name: string) => renames.reduce((now, { from, to }) => (now === from ? to : now), name);
				parts.push(await renameStaged(connection, { ...one, tables: { ...one.tables, target, stage: work } }, nameOf));
			}
			const touched = base === null || shape.known === null ? [] : await this.#touched(connection, base, shape, parts);
			await this.#fillTarget(connection, target, shape, base, touched);
			const left = new Set((base?.files ?? []).filter((file) => !touched.includes(file)));
			const results = new Map<number, LoadResult>();
			for (const one of parts) {
				const staged = new Set(one.tables.columns);
				const hasMore = fields.some(({ name }) => !staged.has(name));
				const result = await applyStaged(connection, one, hasMore);
				const others = truncatesAll(one.part) ? sumRows(left) : 0;
				if (truncatesAll(one.part)) left.clear();
				results.set(one.index, { ...result, rowsDeleted: result.rowsDeleted + others });
				await connection.execute(`DROP TABLE ${one.tables.stage}`);
			}
			await this.#write(connection, writer, { target, parts, touched, fields });
			const files = base?.files ?? [];
			const gone = files.filter((file) => !left.has(file));
			const removed = await removedWithEmpty(writer, gone, files, () => writer.writeEmpty(connection));
			await writer.settle();
			const addsOnly = gone.length === 0 && requests.every(({ write }) => write === "append");
			return {
				table,
				base,
				form,
				added: writer.files,
				removed,
				addsOnly,
				replacesAll: false,
				writer,
				results,
				parts: requests,
			};
		} catch (error) {
			await writer.discard();
			throw error;
		}
	}

	/** Files whose rows the changes look at: what no change names stays as it is. */
	async #touched(
		connection: EngineConnection,
		state: TableState,
		shape: TableShape,
		parts: readonly LakeStagedPart[],
	): Promise<LakeFile[]> {
		const found = new Set(
			filesToRewrite(
				state,
				shape,
				parts.map(({ part }) => part.target),
			),
		);
		// All of them when a column has another name: under the new one nothing would be found.
		if (found.size === state.files.length) return [...found];
		const { fields, levels } = shape;
		const search: Search = { connection, store: this.#store, state, fields, levels };
		for (const { part, tables } of parts) {
			// What comes after finds no row of before.
			if (truncatesAll(part)) break;
			if (part.write === "append") continue;
			const condition = openCondition(part);
			const columns = fields.filter(({ name }) => name === openColumn(part));
			if (part.truncatedAt !== undefined && condition !== null)
				for (const file of await filesHolding(search, state.files, columns, condition)) found.add(file);
			const key = part.target.key.map((column) => ({ column, staged: stagedName(duckdbDialect, column) }));
			const bases = key.map(({ column }, place) => ({
				column,
				staged: quoteIdentifier(`${CHANGE_BASE_COLUMN}${place}`),
			}));
			const among = part.write === "history" && condition !== null ? { condition, columns } : undefined;
			for (const one of part.partial ? [key, bases] : [key])
				for (const file of await filesOfKeys(search, tables.stage, one, among)) found.add(file);
		}
		return state.files.filter((file) => found.has(file));
	}

	/** A temporary table with the rows of some files, in the columns that the table gets. */
	async #fillTarget(
		connection: EngineConnection,
		target: string,
		{ columns, fields, known }: TableShape,
		state: TableState | null,
		files: readonly LakeFile[],
	): Promise<void> {
		await createTable(connection, target, fields);
		if (state === null || known === null || files.length === 0) return;
		const items = columns.map(({ field, before, fill }) => {
			const value = before === null ? (fill ?? "NULL") : quoteIdentifier(before);
			return `CAST(${value} AS ${duckdbType(field.type)})`;
		});
		await withLocal(this.#store, files, async (local) => {
			const rows = await connection.execute(
				`INSERT INTO ${target} SELECT ${items.join(", ")} FROM ${relationOf(local, state.schemas, known)} AS rows`,
			);
			if (rows !== sumRows(files))
				throw new HeadraceError("E_RECEIPT", `${rows} rows were read where the files have ${sumRows(files)}`);
		});
	}

	/** Rows go into files in the order of their key, so that changes of a few keys concern few files. */
	async #write(
		connection: EngineConnection,
		writer: FileWriter,
		{
			target,
			parts,
			touched,
			fields,
		}: {
			readonly target: string;
			readonly parts: readonly LakeStagedPart[];
			readonly touched: readonly LakeFile[];
			readonly fields: readonly Field[];
		},
	): Promise<void> {
		const { rows } = await countsOf(connection, `SELECT count(*) AS rows FROM ${target}`);
		if (rows! > 0) {
			const { part } = parts.at(-1)!;
			const perRow = (bytes: number, of: number) => (of === 0 ? 0 : bytes / of);
			const rowBytes = Math.max(
				ROW_BYTES_MIN,
				perRow(
					parts.reduce((sum, { bytes }) => sum + bytes, 0),
					parts.reduce((sum, { rowsReceived }) => sum + rowsReceived, 0),
				),
				perRow(touched.reduce((sum, { bytes }) => sum + bytes, 0) * MEMORY_FACTOR, sumRows(touched)),
			);
			const names = quotedList(
				duckdbDialect,
				fields.map(({ name }) => name),
			);
			const order =
				part.write === "append"
					? []
					: [...part.target.key, ...(part.write === "history" ? [HISTORY_COLUMNS.validFrom] : [])];
			await writer.write(connection, `SELECT ${names} FROM ${target}`, rowBytes, order);
			await writer.settle();
			if (writer.rows !== rows)
				throw new HeadraceError("E_RECEIPT", `${writer.rows} rows were written where ${rows} were expected`);
		}
		await connection.execute(`DROP TABLE ${target}`);
	}
}

interface TableShape {
	readonly known: readonly Field[] | null;
	readonly fields: readonly Field[];
	readonly levels: ReturnType<typeof levelsAfter>;
	readonly isReplace: false;
	readonly columns: readonly ColumnOrigin[];
	/** By the part that brought each. */
	readonly renames: readonly { readonly part: number; readonly from: string; readonly to: string }[];
}

/** Where the values of a column come from in rows that are there. */
interface ColumnOrigin {
	readonly field: Field;
	/** Its name before; null when it is new. */
	readonly before: string | null;
	/** SQL of the value that old rows get. */
	readonly fill: string | null;
}

/** Whether all rows of before go. */
function truncatesAll(part: ChangesPart): boolean {
	return part.truncatedAt !== undefined && part.write === "merge" && !keepsDeleted(part);
}

/** Rows that a truncation ends or marks, and of a history those that a change ends. */
function openColumn(part: ChangesPart): string | null {
	if (part.write === "history") return HISTORY_COLUMNS.validTo;
	return keepsDeleted(part) ? DELETED_AT_COLUMN : null;
}

function openCondition(part: ChangesPart): string | null {
	const column = openColumn(part);
	return column === null ? null : `t.${quoteIdentifier(column)} IS NULL`;
}

function sumRows(files: Iterable<LakeFile>): number {
	let rows = 0;
	for (const file of files) rows += file.rows;
	return rows;
}
