/** Kills runs at every durability boundary and looks at what is left, then lets the next run finish. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import type { RunReceipt } from "../../src/core/index.ts";
import { redshiftConnection, type Warehouse } from "../connectors/redshift-support.ts";
import type { S3StandIn } from "../stand-ins/s3/index.ts";
import type { SnowflakeStandIn } from "../stand-ins/snowflake/index.ts";
import type { TestDatabase } from "../support/shared.ts";
import { readPostgres } from "./postgres-warehouse.ts";
import { Project } from "./project.ts";
import { SHOP_NAMES, SHOP_TABLES, type Shop, type ShopTable } from "./shop.ts";
import { readSnowflake, snowflakeConnection } from "./snowflake-warehouse.ts";
import { assertConsistent, type Contents, leftovers, readFolder, readWarehouse } from "./warehouse.ts";

const SOURCES = join(import.meta.dirname, "../../src");
const TESTS = join(import.meta.dirname, "..");

/** Names of all crash points in the code. */
export function crashPointsInCode(): string[] {
	const names = new Set<string>();
	for (const file of readdirSync(SOURCES, { recursive: true, encoding: "utf8" })) {
		if (!file.endsWith(".ts")) continue;
		for (const [, name] of readFileSync(join(SOURCES, file), "utf8").matchAll(/crashPoint\("([^"]+)"\)/g))
			names.add(name!);
	}
	return [...names].sort();
}

/** What any file of tests names in quotes, with or without `#2`, and could be a crash point. */
export function pointsNamedInTests(): Set<string> {
	const names = new Set<string>();
	for (const file of readdirSync(TESTS, { recursive: true, encoding: "utf8" })) {
		if (!file.endsWith(".ts")) continue;
		for (const [, name] of readFileSync(join(TESTS, file), "utf8").matchAll(/"([a-z0-9]+(?:-[a-z0-9]+)+)(?:#\d+)?"/g))
			names.add(name!);
	}
	return names;
}

export const DAY = "2026-01-02";
export const IN_DAY = "at >= '2026-01-02' and at < '2026-01-03'";

export interface CopyOptions {
	readonly staging: boolean;
	/** Staged files go there, in place of a folder of the project. */
	readonly s3?: S3StandIn;
	/** A DuckDB file by default, a folder of Parquet files, the database `target`, or one of the stand-ins. */
	readonly into?: "duckdb" | "folder" | "postgres" | "snowflake" | "redshift";
	readonly target?: TestDatabase;
	readonly snowflake?: SnowflakeStandIn;
	/** Staged files go to its S3. */
	readonly warehouse?: Warehouse;
	/** More keys of the pipeline file. */
	readonly keys?: string;
}

/** The stand-in as the connection `lake`. */
export function s3Connection({ endpoint, region, accessKeyId, secretAccessKey }: S3StandIn, more = ""): string {
	const keys = `access_key_id: ${accessKeyId}, secret_access_key: "${secretAccessKey}"`;
	return `lake: { type: s3, bucket: lake, prefix: staging/, region: ${region}, endpoint: "${endpoint}", path_style: true, ${keys}${more} }\n`;
}

/** What is in the destination, and of one table its rows and how often its position has moved. */
export interface Look {
	readonly contents: Contents;
	readonly rows: readonly string[] | undefined;
	readonly moves: number;
}

function movesIn({ positions }: Contents, table: ShopTable): number {
	return positions.find((row) => row.stream.includes(`.${table}`))?.seq ?? 0;
}

/** A project that copies one shop, table by table, directly or by way of staged files. */
export class ShopCopy implements AsyncDisposable {
	readonly project: Project;
	readonly shop: Shop;
	readonly into: "duckdb" | "folder" | "postgres" | "snowflake" | "redshift";
	readonly #target: TestDatabase | undefined;
	readonly #s3: S3StandIn | undefined;
	readonly #snowflake: SnowflakeStandIn | undefined;

	constructor(shop: Shop, options: CopyOptions) {
		this.shop = shop;
		this.into = options.into ?? "duckdb";
		const { warehouse, s3 = warehouse?.s3 } = options;
		this.#target = options.target ?? warehouse?.database;
		this.#s3 = s3;
		this.#snowflake = options.snowflake;
		const to = {
			duckdb: "{ type: duckdb, path: warehouse.duckdb }",
			folder: "{ type: file, path: out }",
			postgres: options.target?.url,
			snowflake: options.snowflake === undefined ? undefined : snowflakeConnection(options.snowflake),
			redshift: warehouse === undefined ? undefined : redshiftConnection(warehouse),
		}[this.into];
		this.project = new Project({
			"connections.yaml": `shop_db: ${shop.url}\ncopy: ${to}\n${s3 === undefined ? "" : s3Connection(s3)}`,
			"pipelines/shop.yaml":
				`from: shop_db\nto: copy\nretries: 0\n${options.staging ? `staging: ${s3 === undefined ? "./staged" : "lake"}\n` : ""}` +
				`${options.keys ?? ""}\ntables:${SHOP_TABLES(shop.schema)}`,
		});
	}

	get warehouse(): string {
		return this.project.path("warehouse.duckdb");
	}

	words(table: ShopTable): string[] {
		return ["run", "shop", "--table", `${this.shop.schema}.${table}`, "--interval", DAY];
	}

	/** What the destination's table has to hold after a run that saw the source as it is now. */
	expected(table: ShopTable): Promise<string[]> {
		return this.shop.lines(table, table === "visits" ? IN_DAY : "true");
	}

	/** What the destination's table holds; undefined when there is none. The control tables have to fit it. */
	async rows(table: ShopTable): Promise<readonly string[] | undefined> {
		return (await this.read()).tables.get(`${this.shop.schema}.${table}`);
	}

	async read(): Promise<Contents> {
		let contents: Contents;
		if (this.into === "folder")
			contents = await readFolder(
				this.project.path("out"),
				SHOP_NAMES.map((table) => `${this.shop.schema}.${table}`),
			);
		else if (this.#snowflake !== undefined) contents = await readSnowflake(this.#snowflake);
		else if (this.#target !== undefined) contents = await readPostgres(this.#target);
		else contents = await readWarehouse(this.warehouse);
		assertConsistent(contents);
		return contents;
	}

	/** How often a table's position has moved. */
	async moves(table: ShopTable): Promise<number> {
		return movesIn(await this.read(), table);
	}

	/** All of it at one look: opening a database takes longer than reading it. */
	async look(table: ShopTable): Promise<Look> {
		const contents = await this.read();
		return { contents, rows: contents.tables.get(`${this.shop.schema}.${table}`), moves: movesIn(contents, table) };
	}

	/** Runs a table until it is killed at `point`. */
	async killAt(table: ShopTable, point: string, ...words: readonly string[]): Promise<void> {
		const env = { HEADRACE_CRASH: point };
		const killed = await this.project.start([...this.words(table), ...words], { env }).ended;
		expect(killed.signal, `${killed.stdout}${killed.stderr}`).toBe("SIGKILL");
	}

	/** Nothing of a run but its result: no staged file, no temporary one, no half-built table. */
	async expectClean(contents?: Contents): Promise<void> {
		expect(leftovers(contents ?? (await this.read()))).toEqual([]);
		expect(this.project.files("staged")).toEqual([]);
		expect(this.project.files(".headrace/tmp")).toEqual([]);
		expect(this.#s3?.keys("lake", "staging/") ?? []).toEqual([]);
		expect(this.project.files("out").filter((name) => name.endsWith(".tmp"))).toEqual([]);
	}

	async [Symbol.asyncDispose](): Promise<void> {
		this.project[Symbol.dispose]();
	}
}

/**
 * A crash at these shows the new rows. The second pass of cleaning comes after the load; a folder's link is turned
 * after its commit.
 */
const SHOWN = {
	duckdb: ["c10", "c11", "c12#2", "c13#2"],
	folder: ["file-pointed", "c11"],
	postgres: ["c10", "c11", "c12#2", "c13#2"],
	snowflake: ["c10", "c11", "c12#2", "c13#2"],
	redshift: ["c10", "c11", "c12#2", "c13#2"],
};

/**
 * One crash: a run of one table is killed at `point`; what is left is the old state or the new one, whole; a plain run
 * then makes source and destination equal; its receipt is given. The source stands still meanwhile.
 */
export async function crashOnce(copy: ShopCopy, table: ShopTable, point: string): Promise<RunReceipt> {
	const old = await copy.look(table);
	const wanted = await copy.expected(table);

	const killed = await copy.project.start(copy.words(table), { env: { HEADRACE_CRASH: point } }).ended;
	expect(killed.signal, `${killed.stdout}${killed.stderr}`).toBe("SIGKILL");
	const committed = SHOWN[copy.into].includes(point);
	const left = await copy.look(table);
	expect(left.rows).toEqual(committed ? wanted : old.rows);
	if (old.moves > 0) expect(left.moves - old.moves).toBe(committed ? 1 : 0);

	const [run] = await copy.project.succeed(...copy.words(table));
	const { rows, contents } = await copy.look(table);
	expect(rows).toEqual(wanted);
	await copy.expectClean(contents);
	return run!;
}
