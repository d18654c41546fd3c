import { HeadraceError, type LoadRequest, type LoadResult, qualified, type Staging } from "../../core/index.ts";
import {
	checkUnique,
	fieldsAfter,
	Incoming,
	ParquetFormat,
	planOutcome,
	stageIncoming,
	storedAs,
} from "../../engine/index.ts";
import { duckdbDialect } from "../../sql/index.ts";
import { type LakeResources, memoryOf, spillFolder, withEngine } from "./engine.ts";
import { FileWriter } from "./file-writer.ts";
import { withLocal } from "./local-files.ts";
import { relationOf, relationOfPaths } from "./relation.ts";
import { filesToRewrite, levelsAfter, removedWithEmpty, type Shape } from "./shape.ts";
import type { LakeTable } from "./table.ts";
import { fieldsOf, type LakeFile, storedColumns, type TableForm, type TableState } from "./table-state.ts";
import { filesFrom, filesOfInterval, filesOfKeys, rangedColumns, type Search } from "./touched.ts";
import { storedType } from "./types.ts";

const { quoteIdentifier } = duckdbDialect;

/** What a load, or a transaction, makes of a table: its files are written. */
export interface BuiltFiles {
	readonly form: TableForm;
	readonly added: readonly LakeFile[];
	readonly removed: readonly LakeFile[];
	/** Rows are only added: the load agrees with any other that only adds. */
	readonly addsOnly: boolean;
	/** All files of the table go, whichever it has when this is committed. */
	readonly replacesAll: boolean;
	readonly writer: FileWriter;
}

export interface BuiltLoad extends BuiltFiles {
	readonly result: LoadResult;
}

/** A row of a table that takes no memory to speak of. */
const ROW_BYTES_MIN = 16;

/** Works out what a load makes of a table, and writes the files. */
export class LoadBuilder {
	readonly #store: Staging;
	readonly #resources: LakeResources;
	readonly #partitionBy: readonly string[];

	constructor(store: Staging, resources: LakeResources, partitionBy: readonly string[]) {
		this.#store = store;
		this.#resources = resources;
		this.#partitionBy = partitionBy;
	}

	/**
	 * What the table is after a load.
	 * @throws E_SCHEMA for a type that does not go with the old one, E_UNSUPPORTED for other partitions than it has
	 */
	formAfter(state: TableState | null, request: Pick<LoadRequest, "target" | "write" | "interval">): Shape {
		const form = state?.form ?? null;
		const isReplace = request.write === "replace" && request.interval === undefined;
		const known = form === null ? null : fieldsOf(form.columns);
		const fields = fieldsAfter(known, request, storedType);
		const levels = levelsAfter(isReplace ? null : form, this.#partitionBy, fields, request.target.name);
		return { fields, levels, known, isReplace };
	}

	/**
	 * Writes the files of a load. The caller discards `writer`'s files unless they are committed.
	 * @throws E_EMPTY, E_DUPLICATE_KEY, E_NULL_KEY, E_KEY_REQUIRED, E_SCHEMA, E_VALUE, E_UNSUPPORTED
	 */
	async build(request: LoadRequest, table: LakeTable, state: TableState | null): Promise<BuiltLoad> {
		const shape = this.formAfter(state, request);
		const { fields, levels } = shape;
		const ranged = rangedColumns(request, fields, shape.isReplace ? [] : (state?.form?.ranged ?? []));
		const writer = new FileWriter({
			store: this.#store,
			folder: table.folder,
			name: request.loadId,
			fields,
			levels,
			ranged,
			engineMemoryBytes: memoryOf(this.#resources),
		});
		const form: TableForm = {
			columns: storedColumns(fields),
			key: request.target.key,
			partition_by: levels.map(({ text }) => text),
			ranged,
		};
		try {
			const incoming = new Incoming(request);
			const work = { request, state, shape, incoming, writer };
			const built = this.#isDirect(work) ? await this.#direct(work) : await this.#reworked(work);
			const files = state?.files ?? [];
			const writeEmpty = () => withEngine(this.#resources, (connection) => writer.writeEmpty(connection));
			const removed = shape.isReplace ? files : await removedWithEmpty(writer, built.removed, files, writeEmpty);
			await writer.settle();
			return { form, added: writer.files, removed, writer, ...built.outcome, replacesAll: shape.isReplace };
		} catch (error) {
			await writer.discard();
			throw error;
		}
	}

	/** Whether the rows go straight into files. */
	#isDirect({ request, state, shape, incoming }: Work): boolean {
		const { isReplace, fields, levels } = shape;
		const isPlainAppend = request.write === "append" && request.interval === undefined && request.overlap === undefined;
		if (levels.length > 0 || !(isReplace ? request.deletedColumn === undefined : isPlainAppend)) return false;
		const names = incoming.fields.map(({ name }) => name);
		const isSame = fields.length === names.length && fields.every(({ name }, index) => name === names[index]);
		return isSame && (state === null || isReplace || filesToRewrite(state, shape, [request.target]).length === 0);
	}

	async #direct({ request, state, shape, incoming, writer }: Work): Promise<Finished> {
		const { fields, isReplace } = shape;
		const format = new ParquetFormat({ memoryBytes: memoryOf(this.#resources), ...spillFolder(this.#resources) });
		const written: { localPath: string; rows: number }[] = [];
		await format.write({
			fields: incoming.fields,
			stored: fields,
			batches: incoming.batches(),
			nextPath: () => writer.begin(),
			written: async (localPath, rows) => {
				written.push({ localPath, rows });
			},
			bufferBytesMax: request.bufferBytesMax,
		});
		this.#checkEmpty(request, state, isReplace, incoming.rows);
		await withEngine(this.#resources, async (connection) => {
			if (isReplace && request.target.key.length > 0 && written.length > 0) {
				const key = fields.filter(({ name }) => request.target.key.includes(name)).map(({ name }) => name);
				await checkUnique(
					connection,
					relationOfPaths(
						written.map(({ localPath }) => localPath),
						key,
					),
					request,
				);
			}
			for (const { localPath, rows } of written) await writer.finish(connection, localPath, rows);
			if (written.length === 0 && isReplace) await writer.writeEmpty(connection);
		});
		const rowsDeleted = isReplace ? (state?.rows ?? 0) : 0;
		const result = { ...NO_ROWS, rowsReceived: incoming.rows, rowsInserted: incoming.rows, rowsDeleted };
		return { removed: [], outcome: { result, addsOnly: !isReplace } };
	}

	/** By way of the engine: the rows that are there count. */
	async #reworked(work: Work): Promise<Finished> {
		const { request, state, shape, incoming, writer } = work;
		const { fields, known, isReplace, levels } = shape;
		return withEngine(this.#resources, async (connection) => {
			const kept = incoming.fields.map((field) => ({ ...field, type: storedType(field.type) }));
			const asKept = new Map(kept.map((field) => [field.name, field]));
			const staged = await stageIncoming(connection, request, {
				fields: incoming.fields,
				batches: incoming.batches(),
				kept,
				item: (field) => storedAs(field, asKept.get(field.name)!),
			});
			this.#checkEmpty(request, state, isReplace, staged.rows);
			if (isReplace) await checkUnique(connection, "incoming", request);
			const hasOld = state !== null && known !== null && !isReplace;
			const search = hasOld ? { connection, store: this.#store, state, fields: known, levels } : null;
			const rewritten = hasOld ? filesToRewrite(state, shape, [request.target]) : [];
			const touched = search === null ? [] : await this.#touched(search, request, rewritten);
			return withLocal(this.#store, touched, async (local) => {
				const existing =
					search === null
						? null
						: { fields: search.fields, relation: relationOf(local, search.state.schemas, search.fields) };
				const outcome = await planOutcome(connection, request, staged, fields, existing);
				const onlyAdds = rewritten.length === 0 ? outcome.added : undefined;
				const { sql, rows } = onlyAdds ?? outcome;
				if (rows > 0)
					await writer.write(connection, sql, Math.max(ROW_BYTES_MIN, staged.bytes / Math.max(1, staged.rows)));
				else if (isReplace) await writer.writeEmpty(connection);
				await writer.settle();
				if (writer.rows !== rows)
					throw new HeadraceError("E_RECEIPT", `${writer.rows} rows were written where ${rows} were expected`);
				const rowsDeleted = outcome.result.rowsDeleted + (isReplace ? (state?.rows ?? 0) : 0);
				const result = { ...outcome.result, rowsReceived: incoming.rows, rowsDeleted };
				const addsOnly =
					request.write === "append" && request.overlap === undefined && touched.length === 0 && !request.interval;
				return { removed: onlyAdds === undefined ? touched : [], outcome: { result, addsOnly } };
			});
		});
	}

	/** Files whose rows the load looks at: what it does not name stays as it is. */
	async #touched(search: Search, request: LoadRequest, rewritten: readonly LakeFile[]): Promise<LakeFile[]> {
		const { interval, overlap, target } = request;
		const found = new Set(rewritten);
		if (interval !== undefined) for (const file of await filesOfInterval(search, interval)) found.add(file);
		if (request.write === "merge") {
			const keyOf = target.key.map((name) => ({ column: name, staged: quoteIdentifier(name) }));
			for (const file of await filesOfKeys(search, "incoming", keyOf)) found.add(file);
		} else if (overlap !== undefined && interval === undefined)
			for (const file of await filesFrom(search, overlap.column, overlap.from)) found.add(file);
		return search.state.files.filter((file) => found.has(file));
	}

	#checkEmpty(request: LoadRequest, state: TableState | null, isReplace: boolean, rows: number): void {
		if (isReplace && rows === 0 && (state?.rows ?? 0) > 0 && request.allowEmpty !== true)
			throw new HeadraceError("E_EMPTY", `no rows came for ${qualified(request.target.name)}, which has some`);
	}
}

interface Work {
	readonly request: LoadRequest;
	readonly state: TableState | null;
	readonly shape: Shape;
	readonly incoming: Incoming;
	readonly writer: FileWriter;
}

interface Finished {
	readonly removed: readonly LakeFile[];
	readonly outcome: Pick<BuiltLoad, "result" | "addsOnly">;
}

const NO_ROWS: LoadResult = { rowsReceived: 0, rowsInserted: 0, rowsUpdated: 0, rowsDeleted: 0, rowsSuperseded: 0 };
