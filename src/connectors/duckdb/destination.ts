import { existsSync } from "node:fs";
import { basename } from "node:path";
import {
	crashPoint,
	type Destination,
	type DestinationChanges,
	type DestinationParts,
	type DestinationSql,
	type ExistingTable,
	type Finding,
	HeadraceError,
	type LoadRequest,
	type LoadResult,
	type PositionExpected,
	type PositionRow,
	type RecordedSchema,
	type SqlRow,
	type TableName,
	type TargetTable,
	type Write,
} from "../../core/index.ts";
import { Engine, streamTextRows, textRows } from "../../engine/index.ts";
import { duckdbDialect } from "../../sql/index.ts";
import { statementsOf } from "./alter.ts";
import { DuckdbChanges } from "./changes.ts";
import { ControlTables } from "./control.ts";
import { createSchema, type LoadContext, tableChange, targetOf } from "./load.ts";
import { DuckdbParts } from "./parts.ts";
import { rebuild } from "./rebuild.ts";
import { retype } from "./retype.ts";
import { createDdl, definitionsOf, describeTable, Place, shapeDiffers } from "./schema.ts";
import { Session } from "./session.ts";
import { duckdbTexts } from "./text-casts.ts";
import { foldName, mapType } from "./types.ts";
import { UnfinishedBuilds } from "./unfinished.ts";
import { append, merge } from "./write-merge.ts";
import { removeLeftovers, replace } from "./write-replace.ts";

export interface DuckdbDestinationOptions {
	/** The database file, made by the first load; `:memory:` for one that ends with the process. */
	readonly path: string;
	/** Bound on DuckDB's own memory, bytes. */
	readonly memoryBytes?: number;
	readonly threads?: number;
	/** Staged Parquet files in these folders are read by the engine itself, others by way of batches. */
	readonly readableDirectories?: readonly string[];
	/** Where the engine spills; default `<path>.tmp`. */
	readonly temporaryDirectory?: string;
}

/**
 * A checkpoint writes every group of rows anew of which one changed: with DuckDB's 16 MB it comes every second flush of a
 * change log and takes half the time. More log takes longer to read again after a crash: 256 MB about two seconds.
 */
const CHECKPOINT_BYTES = 256 << 20;

/** An open database with what is known of it. */
interface Opened {
	readonly engine: Engine;
	readonly catalog: string;
	readonly control: ControlTables;
	readonly unfinished: UnfinishedBuilds;
}

/** A DuckDB file as a destination: see README.md for its transactions. */
export class DuckdbDestination implements Destination {
	readonly accepts: Destination["accepts"] = { batches: true, formats: ["parquet"] };
	readonly writes: readonly Write[] = ["replace", "merge", "append"];
	readonly mapType = mapType;
	readonly foldName = foldName;
	readonly parts: DestinationParts;
	readonly changes: DestinationChanges;
	readonly #options: DuckdbDestinationOptions;
	readonly sql: DestinationSql;
	#opening: Promise<Opened> | null = null;
	#controlReady: Promise<void> | null = null;
	#closed = false;

	constructor(options: DuckdbDestinationOptions) {
		this.#options = options;
		this.sql = this.#ownSql();
		const shared = {
			opened: async () => {
				const opened = await this.#open();
				await this.#with((session, { control }) => this.#ensureControl(session, control));
				return opened;
			},
			settled: (error: unknown, request: PositionExpected) => this.#settled(error, request),
		};
		this.parts = new DuckdbParts({ ...shared, exists: () => this.#exists() });
		this.changes = new DuckdbChanges({ ...shared, readableDirectories: options.readableDirectories ?? [] });
	}

	#ownSql(): DestinationSql {
		const { quoteIdentifier, quoteLiteral } = duckdbDialect;
		return {
			quoteIdentifier,
			quoteLiteral,
			relation: (table) => new Place(catalogOf(this.#options.path), table).sql,
			query: (sql, signal) => this.#with((session) => textRows(session, sql), signal),
			select: (sql, signal) => this.#select(sql, signal),
			execute: (statements, signal) =>
				this.#with(
					(session) =>
						session.transaction(async () => {
							for (const statement of statements) await session.execute(statement);
						}),
					signal,
				),
			texts: duckdbTexts,
			retype: async (request) => {
				const { engine, catalog } = await this.#open();
				return retype(engine, new Place(catalog, request.table), request);
			},
			rebuild: async (request) => {
				const opened = await this.#open();
				return rebuild(opened, new Place(opened.catalog, request.table), request);
			},
		};
	}

	async *#select(sql: string, signal: AbortSignal | undefined): AsyncGenerator<readonly SqlRow[], void, undefined> {
		const { engine } = await this.#open();
		await using session = await Session.open(engine, signal);
		yield* streamTextRows(session.connection, sql, signal);
	}

	async check(): Promise<Finding[]> {
		const { path } = this.#options;
		if (!this.#exists()) return [{ severity: "ok", message: `${path} is not there yet: the first load makes it` }];
		return this.#with(async (session) => {
			const [row] = await session.query(
				`SELECT version() AS version, (SELECT count(*) FROM duckdb_tables() WHERE database_name = current_database()
				AND schema_name <> '_headrace') AS tables`,
			);
			return [{ severity: "ok", message: `${path}: DuckDB ${row!["version"]}, ${row!["tables"]} tables` }];
		});
	}

	async describe(table: TableName): Promise<ExistingTable | null> {
		if (!this.#exists()) return null;
		return this.#with((session, { catalog }) => describeTable(session, new Place(catalog, table)));
	}

	async planDdl(target: TargetTable, write: Write): Promise<string[]> {
		const columns = definitionsOf(target);
		if (!this.#exists()) {
			const place = new Place(catalogOf(this.#options.path), target.name);
			return [`CREATE SCHEMA IF NOT EXISTS ${place.schemaSql}`, createDdl(place, columns)];
		}
		return this.#with(async (session, { catalog }) => {
			const place = new Place(catalog, target.name);
			if (write === "replace") {
				const existing = await describeTable(session, place);
				if (existing !== null) return shapeDiffers(existing, columns) ? [createDdl(place, columns)] : [];
			}
			return statementsOf(place, await tableChange(session, place, target));
		});
	}

	async takeOver(pipeline: string, streams: readonly string[]): Promise<Map<string, PositionRow>> {
		return this.#with(async (session, { control }) => {
			await this.#ensureControl(session, control);
			return control.takeOver(session, pipeline, streams);
		});
	}

	async positions(pipeline: string): Promise<PositionRow[]> {
		if (!this.#exists()) return [];
		return this.#with(async (session, { control }) =>
			(await control.exist(session)) ? control.positions(session, pipeline) : [],
		);
	}

	async schemas(pipeline: string): Promise<RecordedSchema[]> {
		if (!this.#exists()) return [];
		return this.#with((session, { control }) => control.schemas(session, pipeline));
	}

	async committed(loadId: string): Promise<boolean> {
		if (!this.#exists()) return false;
		return this.#with(
			async (session, { control }) => (await control.exist(session)) && control.committed(session, loadId),
		);
	}

	async load(request: LoadRequest): Promise<LoadResult> {
		if (request.write === "history")
			throw new HeadraceError("E_UNSUPPORTED", "the DuckDB destination keeps history of changes only");
		const { engine, catalog, control, unfinished } = await this.#open();
		try {
			await using session = await Session.open(engine, request.signal);
			await this.#ensureControl(session, control);
			await control.expectPosition(session, request);
			const context: LoadContext = {
				engine,
				control,
				session,
				place: new Place(catalog, request.target.name),
				target: targetOf(request),
				request,
				readableDirectories: this.#options.readableDirectories ?? [],
			};
			await createSchema(session, context.place);
			await removeLeftovers(session, context.place, unfinished);
			const result = await write(context);
			crashPoint("c10");
			await unfinished.removeEnded(session);
			return result;
		} catch (error) {
			throw await this.#settled(error, request);
		}
	}

	async [Symbol.asyncDispose](): Promise<void> {
		this.#closed = true;
		const opening = this.#opening;
		this.#opening = null;
		const opened = await opening?.catch(() => null);
		await opened?.engine[Symbol.asyncDispose]();
	}

	/** A conflict at the position is an answer: whoever won has moved it. */
	async #settled(error: unknown, request: PositionExpected): Promise<unknown> {
		if (!(error instanceof HeadraceError) || error.code !== "E_CONFLICT") return error;
		try {
			await this.#with((session, { control }) => control.expectPosition(session, request));
			return error;
		} catch (fenced) {
			return fenced instanceof HeadraceError && fenced.code === "E_FENCED" ? fenced : error;
		}
	}

	async #with<T>(work: (session: Session, opened: Opened) => Promise<T>, signal?: AbortSignal): Promise<T> {
		const opened = await this.#open();
		await using session = await Session.open(opened.engine, signal);
		return await work(session, opened);
	}

	/** The file is opened by what needs it: a plan must not make one. */
	#open(): Promise<Opened> {
		if (this.#closed) throw new HeadraceError("E_STOPPED", "the destination is closed");
		this.#opening ??= open(this.#options).catch((error: unknown) => {
			this.#opening = null;
			throw error;
		});
		return this.#opening;
	}

	#exists(): boolean {
		return this.#opening !== null || existsSync(this.#options.path);
	}

	async #ensureControl(session: Session, control: ControlTables): Promise<void> {
		this.#controlReady ??= control.ensure(session).catch((error: unknown) => {
			this.#controlReady = null;
			throw error;
		});
		return this.#controlReady;
	}
}

async function open(options: DuckdbDestinationOptions): Promise<Opened> {
	const { path, memoryBytes, threads, readableDirectories, temporaryDirectory } = options;
	const engine = await Engine.open({
		...(path === ":memory:" ? {} : { path }),
		checkpointBytes: CHECKPOINT_BYTES,
		...(memoryBytes === undefined ? {} : { memoryBytes }),
		...(threads === undefined ? {} : { threads }),
		...(readableDirectories === undefined ? {} : { allowedDirectories: readableDirectories }),
		...(temporaryDirectory === undefined ? {} : { tempDirectory: temporaryDirectory }),
	});
	try {
		await using session = await Session.open(engine);
		const [row] = await session.query("SELECT current_database() AS name");
		const catalog = String(row!["name"]);
		return { engine, catalog, control: new ControlTables(catalog), unfinished: new UnfinishedBuilds(catalog) };
	} catch (error) {
		await engine[Symbol.asyncDispose]();
		throw error;
	}
}

function write(context: LoadContext): Promise<LoadResult> {
	const { request } = context;
	if (request.write === "merge") return merge(context);
	// An interval is a part of the table, so there is nothing to swap.
	if (request.write === "append" || request.interval !== undefined) return append(context);
	return replace(context);
}

/** DuckDB's name for the database in a file: the file's up to its first dot, unless every database has one so called. */
function catalogOf(path: string): string {
	if (path === ":memory:") return "memory";
	const name =
		basename(path)
			.split(".")
			.find((part) => part !== "") ?? "";
	return ["main", "temp", "system"].includes(name) ? `${name}_db` : name;
}
