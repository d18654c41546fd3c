import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Loader } from "../../src/conformance/destination-fixture.ts";
import { createSnowflakeDestination, type SnowflakeOptions } from "../../src/connectors/snowflake/index.ts";
import { parseColumnType } from "../../src/core/column-type.ts";
import {
	type Destination,
	type Field,
	type FormatName,
	HeadraceError,
	type LoadRequest,
	type LoadResult,
	type TargetTable,
} from "../../src/core/index.ts";
import {
	type SnowflakeStandIn,
	type SnowflakeStandInOptions,
	startSnowflakeStandIn,
} from "../stand-ins/snowflake/index.ts";
import { optionsOf, staging, tableRows } from "./snowflake-support.ts";

export type Rows = readonly (readonly (string | null)[])[];

/** A stand-in with a destination of one table, `raw.t`. */
export class SnowflakeLoads implements AsyncDisposable {
	readonly standIn: SnowflakeStandIn;
	readonly destination: Destination;
	readonly #folder: string;
	readonly #opened: Destination[] = [];

	private constructor(standIn: SnowflakeStandIn, destination: Destination, folder: string) {
		this.standIn = standIn;
		this.destination = destination;
		this.#folder = folder;
	}

	static async open(
		options: SnowflakeStandInOptions = {},
		more: Partial<SnowflakeOptions> = {},
		format: FormatName = "parquet",
	): Promise<SnowflakeLoads> {
		const standIn = await startSnowflakeStandIn(options);
		const folder = await mkdtemp(join(tmpdir(), "headrace-snowflake-"));
		const destination = staging(await createSnowflakeDestination(optionsOf(standIn, more)), folder, format);
		return new SnowflakeLoads(standIn, destination, folder);
	}

	/** Another run's destination. */
	async another(more: Partial<SnowflakeOptions> = {}): Promise<Destination> {
		const folder = await mkdtemp(join(this.#folder, "other-"));
		const destination = staging(await createSnowflakeDestination(optionsOf(this.standIn, more)), folder);
		this.#opened.push(destination);
		return destination;
	}

	/** `id int64, name text`: a target keyed by `id`. */
	target(columns = "id int64, name text", key: readonly string[] = ["id"], name = "t"): TargetTable {
		return {
			name: { schema: "raw", name },
			columns: columns.split(/,\s*(?=\w+ )/).map((text) => {
				const [column, ...type] = text.trim().split(" ");
				const parsed = parseColumnType(type.join(" "))!;
				return {
					name: column!,
					type: parsed,
					nullable: !key.includes(column!),
					destinationType: this.destination.mapType(parsed).destinationType,
				};
			}),
			key,
		};
	}

	async load(rows: Rows, change: Partial<LoadRequest> = {}, destination = this.destination): Promise<LoadResult> {
		return (await Loader.takeOver(destination, change.target ?? this.target())).load(rows, change);
	}

	rows(columns = "id int64, name text", name = "t"): Promise<Rows | null> {
		const fields: Field[] = [...this.target(columns, []).columns];
		return tableRows(this.standIn, { schema: "raw", name }, fields).then((rows) => rows?.sort() ?? null);
	}

	/** Statements that were sent, matching a pattern. */
	sent(pattern: RegExp): string[] {
		return this.standIn.log.map(({ sql }) => sql).filter((sql) => pattern.test(sql));
	}

	async [Symbol.asyncDispose](): Promise<void> {
		for (const destination of this.#opened) await destination[Symbol.asyncDispose]();
		await this.destination[Symbol.asyncDispose]();
		await this.standIn[Symbol.asyncDispose]();
		await rm(this.#folder, { recursive: true, force: true });
	}
}

/** The Headrace error that something fails with. */
export async function errorOf(work: Promise<unknown>): Promise<HeadraceError> {
	try {
		await work;
	} catch (error) {
		if (error instanceof HeadraceError) return error;
		throw error;
	}
	throw new Error("it did not fail");
}
