import {
	type Destination,
	type DestinationSql,
	type ExistingTable,
	type Field,
	type Finding,
	type Grant,
	HeadraceError,
	type LoadRequest,
	type LoadResult,
	type PositionRow,
	qualified,
	type RecordedSchema,
	type TableName,
	type TargetTable,
	type Write,
} from "../../core/index.ts";
import { quoteEscaped } from "../../sql/index.ts";
import { SnowflakeChanges } from "./changes.ts";
import { destinationFindings, destinationGrants, readIntegration } from "./check.ts";
import {
	controlTablesExist,
	endTransactionsOf,
	ensureControlTables,
	expectPosition,
	isCommitted,
	pendingSwaps,
	positionsOf,
	schemasOf,
	takeOver,
} from "./control.ts";
import { SnowflakeDestinationSql } from "./destination-sql.ts";
import { isNotThere } from "./errors.ts";
import { ensureSchema, type LoadContext, targetOf } from "./load.ts";
import { foldName, foldRequest, foldTarget, Place } from "./names.ts";
import { type SnowflakeOptions, whereOf } from "./options.ts";
import { queryTag, type Session } from "./session.ts";
import { Sessions } from "./sessions.ts";
import { stageFiles } from "./stage-files.ts";
import { finishSwap, removeLeftovers } from "./swap.ts";
import { createDdl, evolveDdl, existingOf, readRelation } from "./table.ts";
import { fileFields, mapType } from "./types.ts";
import { append, merge } from "./write-merge.ts";
import { replace } from "./write-replace.ts";

/**
 * Snowflake as a destination of staged files. Nothing is connected before the first call that needs it.
 * @throws E_INVALID_VALUE without a database, or for an endpoint that is not encrypted; from calls E_CONNECT, E_LOGIN, E_TLS, E_RIGHTS, E_MISSING_PACKAGE
 */
export async function createSnowflakeDestination(options: SnowflakeOptions): Promise<Destination> {
	const { database, endpoint } = options;
	if (database === undefined)
		throw new HeadraceError("E_INVALID_VALUE", `the Snowflake connection ${whereOf(options)} has no database`, {
			hint: "Give it `database:`.",
		});
	if (endpoint !== undefined && !isSafe(endpoint))
		throw new HeadraceError("E_INVALID_VALUE", "the endpoint of a Snowflake connection must be an https:// address", {
			hint: "Without TLS only a server on this machine may be used.",
		});
	return new SnowflakeDestination(options);
}

/** Encrypted, or not leaving this machine. */
function isSafe(endpoint: string): boolean {
	const url = URL.parse(endpoint);
	return (
		url?.protocol === "https:" || (url?.protocol === "http:" && /^(?:127\.|localhost$|\[::1\]$)/.test(url.hostname))
	);
}

/** See README.md for its transactions. */
class SnowflakeDestination implements Destination {
	readonly accepts: Destination["accepts"] = { batches: false, formats: ["parquet", "csv"], uriSchemes: ["s3"] };
	readonly writes: readonly Write[] = ["replace", "merge", "append"];
	readonly changes: SnowflakeChanges;
	readonly system = "snowflake";
	readonly mapType = mapType;
	readonly foldName = foldName;
	readonly sql: DestinationSql;
	readonly #options: SnowflakeOptions;
	readonly #sessions: Sessions;
	#controlReady: Promise<void> | null = null;

	constructor(options: SnowflakeOptions) {
		this.#options = options;
		this.#sessions = new Sessions(options);
		this.sql = new SnowflakeDestinationSql(this.#sessions, options.schema);
		this.changes = new SnowflakeChanges({
			options,
			write: async (signal, work) => {
				await this.#ensureControl();
				return this.#sessions.write(signal, work);
			},
		});
	}

	fileFields(target: TargetTable): readonly Field[] {
		return fileFields(target);
	}

	check(): Promise<Finding[]> {
		return this.#sessions.look((session) => destinationFindings(session, this.#options));
	}

	grants(tables: readonly TableName[]): Promise<Grant[]> {
		const schemas = [...new Set(tables.map((table) => this.#place(table).schema))];
		const { storageIntegration } = this.#options;
		const integrationOf = () => this.#sessions.look((session) => readIntegration(session, storageIntegration!));
		return destinationGrants(integrationOf, this.#options, schemas);
	}

	describe(table: TableName): Promise<ExistingTable | null> {
		return this.#sessions.look(async (session) => {
			const relation = await readRelation(session, this.#place(table));
			return relation === null ? null : existingOf(relation);
		});
	}

	planDdl(target: TargetTable, write: Write): Promise<string[]> {
		const place = this.#place(target.name);
		const folded = foldTarget(target);
		return this.#sessions.look(async (session) => {
			const relation = await readRelation(session, place);
			if (relation !== null) return evolveDdl(place, relation, folded, write === "replace");
			const schema = (await hasSchema(session, place)) ? [] : [`CREATE SCHEMA IF NOT EXISTS ${place.schemaSql}`];
			return [...schema, createDdl(place, folded)];
		});
	}

	async takeOver(pipeline: string, streams: readonly string[]): Promise<Map<string, PositionRow>> {
		await this.#ensureControl();
		return this.#sessions.write(undefined, async (session) => {
			const rows = await takeOver(session, pipeline, streams);
			// Nobody else commits to these streams any more; what the last load left to do is done first.
			for (const swap of await pendingSwaps(session, { pipeline }))
				if (rows.has(swap.stream)) await finishSwap(session, swap);
			return rows;
		});
	}

	positions(pipeline: string): Promise<PositionRow[]> {
		return this.#sessions.look(async (session) =>
			(await controlTablesExist(session)) ? positionsOf(session, pipeline) : [],
		);
	}

	schemas(pipeline: string): Promise<RecordedSchema[]> {
		return this.#sessions.look(async (session) =>
			(await controlTablesExist(session)) ? schemasOf(session, pipeline) : [],
		);
	}

	async committed(loadId: string): Promise<boolean> {
		if (!(await this.#sessions.look(controlTablesExist))) return false;
		if (!(await this.#sessions.look((session) => isCommitted(session, loadId)))) return false;
		await this.#sessions.write(undefined, async (session) => {
			for (const swap of await pendingSwaps(session, { loadId })) await finishSwap(session, swap);
		});
		return true;
	}

	async load(unfolded: LoadRequest): Promise<LoadResult> {
		if (unfolded.write === "history")
			throw new HeadraceError("E_UNSUPPORTED", "one load of a table keeps no history of its rows; changes of a log do");
		const request = foldRequest(unfolded);
		await this.#ensureControl();
		return this.#sessions.write(request.signal, async (session) => {
			const { pipeline, runId, target } = request;
			const tag = queryTag({ pipeline, runId, table: qualified(target.name) });
			await session.run(`ALTER SESSION SET QUERY_TAG = ${quoteEscaped(tag)}`);
			await expectPosition(session, request);
			await endTransactionsOf(session, pipeline, [request.stream]);
			const place = this.#place(target.name);
			await ensureSchema(session, place);
			await removeLeftovers(session, place, request);
			const staged = await stageFiles(session, this.#options, request);
			const context: LoadContext = {
				session,
				options: this.#options,
				place,
				target: targetOf(request),
				request,
				staged,
			};
			const result = await write(context);
			// The load is committed: a file that stays is only a file.
			await staged.remove().catch(() => {});
			return result;
		});
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.#sessions.close();
	}

	#place(table: TableName): Place {
		return new Place(table, this.#options.schema);
	}

	#ensureControl(): Promise<void> {
		this.#controlReady ??= this.#sessions.look(ensureControlTables).catch((error: unknown) => {
			this.#controlReady = null;
			throw error;
		});
		return this.#controlReady;
	}
}

async function hasSchema(session: Session, place: Place): Promise<boolean> {
	try {
		await session.run(`DESCRIBE SCHEMA ${place.schemaSql}`);
		return true;
	} catch (error) {
		if (isNotThere(error)) return false;
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
