import {
	crashPoint,
	type Destination,
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
import { RedshiftChanges } from "./changes.ts";
import { findings } from "./check.ts";
import type { RedshiftOptions } from "./connect.ts";
import { ControlConnection } from "./control.ts";
import { RedshiftDestinationSql } from "./destination-sql.ts";
import { warehouseGrants } from "./grants.ts";
import { ensureSchema, shape, targetOf } from "./load.ts";
import type { LoadContext } from "./load-context.ts";
import {
	controlTablesExist,
	ensureControlTables,
	expectPosition,
	isCommitted,
	positionsOf,
	schemasOf,
	takeOver,
} from "./positions.ts";
import { quoteIdentifier, quoteLiteral } from "./sql-text.ts";
import { STAGE, stageRows } from "./stage.ts";
import { foldName, foldRequest, foldTarget, Place } from "./target-names.ts";
import { buildBesideDdl, createDdl, evolve, existingOf, readRelation, refuseTooMany } from "./target-table.ts";
import { fileFields, keeps, mapType } from "./target-types.ts";
import { writeStaged } from "./write.ts";
import { Writer } from "./writer.ts";

/**
 * Amazon Redshift as a destination. Nothing is connected before the first call that needs it.
 * @throws (from those calls) E_CONNECT, E_LOGIN, E_TLS
 */
export async function createRedshiftDestination(options: RedshiftOptions): Promise<Destination> {
	return new RedshiftDestination(options);
}

/** See README.md for its transactions. */
class RedshiftDestination implements Destination {
	readonly accepts: Destination["accepts"] = { batches: false, formats: ["parquet", "csv"], uriSchemes: ["s3"] };
	readonly writes: readonly Write[] = ["replace", "merge", "append"];
	readonly changes: RedshiftChanges;
	readonly system = "redshift";
	readonly mapType = mapType;
	readonly keeps = keeps;
	readonly fileFields = fileFields;
	readonly foldName = foldName;
	readonly sql: DestinationSql;
	readonly #options: RedshiftOptions;
	readonly #control: ControlConnection;
	#controlReady: Promise<void> | null = null;

	constructor(options: RedshiftOptions) {
		this.#options = options;
		this.#control = new ControlConnection(options);
		this.sql = new RedshiftDestinationSql(options, this.#control);
		this.changes = new RedshiftChanges({
			options,
			open: async (signal) => {
				await this.#ensureControl();
				return Writer.open(options, this.#control, undefined, signal);
			},
			// A VACUUM takes longer than it is until the next changes come, and a cluster does one at a time.
			maintain: (writer, place, result) => this.#maintain(writer, place, result, { vacuum: false }),
		});
	}

	check(): Promise<Finding[]> {
		return this.#control.run((session) => findings(session, this.#options));
	}

	async grants(tables: readonly TableName[]): Promise<Grant[]> {
		const { host, user, database, iamRole, staged } = this.#options;
		return warehouseGrants({
			host,
			user: user ?? "headrace_loader",
			database,
			schemas: [...new Set(tables.map((table) => new Place(table).schema))],
			...(iamRole === undefined ? {} : { iamRole }),
			...(staged === undefined ? {} : { staged }),
		});
	}

	describe(table: TableName): Promise<ExistingTable | null> {
		return this.#control.run(async (session) => {
			const relation = await readRelation(session, new Place(table));
			return relation === null ? null : existingOf(relation);
		});
	}

	planDdl(unfolded: TargetTable, write: Write): Promise<string[]> {
		const target = foldTarget(unfolded);
		const place = new Place(target.name);
		refuseTooMany(target);
		return this.#control.run(async (session) => {
			const relation = await readRelation(session, place);
			if (relation === null) {
				const schema = await session.rows(`SELECT 1 FROM pg_namespace WHERE nspname = ${quoteLiteral(place.schema)}`);
				return [
					...(schema.length === 0 ? [`CREATE SCHEMA ${quoteIdentifier(place.schema)}`] : []),
					createDdl(place, target),
				];
			}
			const { alter, rebuilt } = evolve(place, relation, target, write === "replace");
			if (rebuilt.length === 0) return [...alter];
			const build = place.beside(`${place.name}__new`);
			return [
				...alter,
				...buildBesideDdl(place, build, rebuilt),
				`DROP TABLE ${place.sql}`,
				`ALTER TABLE ${build.sql} RENAME TO ${place.quotedName}`,
			];
		});
	}

	async takeOver(pipeline: string, streams: readonly string[]): Promise<Map<string, PositionRow>> {
		await this.#ensureControl();
		await using writer = await Writer.open(this.#options, this.#control);
		return await takeOver(writer, pipeline, streams);
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
			throw new HeadraceError("E_UNSUPPORTED", "one load of a table keeps no history of its rows; changes of a log do");
		const request = foldRequest(unfolded);
		if (request.write === "merge" && request.target.key.length === 0)
			throw new HeadraceError("E_KEY_REQUIRED", `merge into ${request.target.name.name} needs a key`);
		refuseTooMany(request.target);
		await this.#ensureControl();
		const place = new Place(request.target.name);
		await using writer = await Writer.open(this.#options, this.#control, request.target.name, request.signal);
		await expectPosition(writer.session, request);
		const context: LoadContext = {
			writer,
			options: this.#options,
			place,
			target: targetOf(request),
			request,
			stage: STAGE,
		};
		await ensureSchema(context);
		const shaped = await shape(context);
		const rowsReceived = await stageRows(context, shaped);
		const result = await writeStaged(context, shaped, rowsReceived);
		crashPoint("c10");
		await this.#maintain(writer, place, result);
		return result;
	}

	/**
	 * What the load left to tidy. ANALYZE does nothing while few rows have changed; neither can be in a transaction that
	 * loads: https://docs.aws.amazon.com/redshift/latest/dg/r_ANALYZE.html, …/r_VACUUM_command.html
	 */
	async #maintain(writer: Writer, place: Place, result: LoadResult, { vacuum = true } = {}): Promise<void> {
		const { maintain = "analyze" } = this.#options;
		const changed = result.rowsInserted + result.rowsUpdated + result.rowsDeleted;
		if (maintain === "off" || changed === 0) return;
		try {
			if (maintain === "vacuum" && vacuum) await writer.execute(`VACUUM ${place.sql}`);
			await writer.execute(`ANALYZE ${place.sql}`);
		} catch {
			// The load is committed; the warehouse tidies by itself when it is idle, and the next load tries again.
		}
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
