import {
	crashPoint,
	type Destination,
	type DestinationChanges,
	type DestinationSql,
	type ExistingTable,
	type Finding,
	type Grant,
	HeadraceError,
	type LoadRequest,
	type LoadResult,
	type PositionRow,
	type RecordedSchema,
	type TableName,
	type TargetTable,
	type Write,
} from "../../core/index.ts";
import { PostgresChanges } from "./changes.ts";
import type { PostgresOptions } from "./connect.ts";
import { ControlConnection } from "./control.ts";
import { destinationFindings } from "./destination-check.ts";
import { destinationGrants } from "./destination-grants.ts";
import { PostgresDestinationSql } from "./destination-sql.ts";
import { ensureSchema, type LoadContext, targetOf } from "./load.ts";
import { planDdl } from "./plan-ddl.ts";
import {
	controlTablesExist,
	ensureControlTables,
	expectPosition,
	isCommitted,
	positionsOf,
	schemasOf,
	takeOver,
} from "./positions.ts";
import { foldName, foldRequest, foldTarget, Place } from "./target-names.ts";
import { existingOf, readRelation, refuseTooMany } from "./target-table.ts";
import { mapType } from "./target-types.ts";
import { append, merge } from "./write-merge.ts";
import { replace } from "./write-replace.ts";
import { WriteSession } from "./write-session.ts";

/**
 * PostgreSQL 12 and later as a destination. Nothing is connected before the first call that needs it.
 * @throws (from those calls) E_CONNECT, E_LOGIN, E_TLS, E_UNSUPPORTED for servers before 12
 */
export async function createPostgresDestination(options: PostgresOptions): Promise<Destination> {
	return new PostgresDestination(options);
}

/** See README.md for its transactions. */
class PostgresDestination implements Destination {
	readonly accepts: Destination["accepts"] = { batches: true, formats: [] };
	readonly writes: readonly Write[] = ["replace", "merge", "append"];
	readonly system = "postgres";
	readonly mapType = mapType;
	readonly foldName = foldName;
	readonly sql: DestinationSql;
	readonly changes: DestinationChanges;
	readonly #options: PostgresOptions;
	readonly #control: ControlConnection;
	#controlReady: Promise<void> | null = null;

	constructor(options: PostgresOptions) {
		this.#options = options;
		this.#control = new ControlConnection(options, "headrace writer");
		this.sql = new PostgresDestinationSql(options, this.#control);
		this.changes = new PostgresChanges(async (signal) => {
			await this.#ensureControl();
			return WriteSession.open(options, this.#control, undefined, signal);
		});
	}

	check(): Promise<Finding[]> {
		return this.#control.run(destinationFindings);
	}

	grants(tables: readonly TableName[]): Promise<Grant[]> {
		return this.#control.run((session, facts) => destinationGrants(session, facts, tables));
	}

	describe(table: TableName): Promise<ExistingTable | null> {
		return this.#control.run(async (session) => {
			const relation = await readRelation(session, new Place(table));
			return relation === null ? null : existingOf(relation);
		});
	}

	planDdl(target: TargetTable, write: Write): Promise<string[]> {
		return this.#control.run((session, facts) =>
			planDdl(session, facts, new Place(target.name), foldTarget(target), write),
		);
	}

	async takeOver(pipeline: string, streams: readonly string[]): Promise<Map<string, PositionRow>> {
		await this.#ensureControl();
		return this.#control.run((session) => takeOver(session, pipeline, streams));
	}

	positions(pipeline: string): Promise<PositionRow[]> {
		return this.#control.run(async (session) =>
			(await controlTablesExist(session)) ? positionsOf(session, pipeline) : [],
		);
	}

	schemas(pipeline: string): Promise<RecordedSchema[]> {
		return this.#control.run((session) => schemasOf(session, pipeline));
	}

	committed(loadId: string): Promise<boolean> {
		return this.#control.run(async (session) => (await controlTablesExist(session)) && isCommitted(session, loadId));
	}

	async load(unfolded: LoadRequest): Promise<LoadResult> {
		if (unfolded.write === "history")
			throw new HeadraceError("E_UNSUPPORTED", "the PostgreSQL destination keeps no history of rows");
		const request = foldRequest(unfolded);
		refuseTooMany(request.target);
		await this.#ensureControl();
		const place = new Place(request.target.name);
		await using writer = await WriteSession.open(this.#options, this.#control, place, request.signal);
		await expectPosition(writer.session, request);
		const context: LoadContext = { writer, place, target: targetOf(request), request };
		await ensureSchema(context);
		const result = await write(context);
		crashPoint("c10");
		return result;
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.#control.close();
	}

	#ensureControl(): Promise<void> {
		this.#controlReady ??= this.#control.run(ensureControlTables).catch((error: unknown) => {
			this.#controlReady = null;
			throw error;
		});
		return this.#controlReady;
	}
}

function write(context: LoadContext): Promise<LoadResult> {
	const { request } = context;
	if (request.write === "merge") return merge(context);
	// An interval is a part of the table, so there is nothing to swap.
	if (request.write === "append" || request.interval !== undefined) return append(context);
	return replace(context);
}
