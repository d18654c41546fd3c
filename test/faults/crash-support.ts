/** Kills runs at every durability boundary and looks at what is left, then lets the next run finish. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { Project } from "./project.ts";
import { SHOP_TABLES, type Shop, type ShopTable } from "./shop.ts";
import { assertConsistent, type Contents, leftovers, readWarehouse } from "./warehouse.ts";

const SOURCES = join(import.meta.dirname, "../../src");

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

export const DAY = "2026-01-02";
export const IN_DAY = "at >= '2026-01-02' and at < '2026-01-03'";

/** A project that copies one shop, table by table, directly or by way of staged files. */
export class ShopCopy implements AsyncDisposable {
	readonly project: Project;
	readonly shop: Shop;
	readonly warehouse: string;

	constructor(shop: Shop, options: { readonly staging: boolean; readonly pipelineKeys?: string }) {
		this.shop = shop;
		this.project = new Project({
			"connections.yaml": `shop_db: ${shop.url}\ncopy: { type: duckdb, path: warehouse.duckdb }\n`,
			"pipelines/shop.yaml":
				`from: shop_db\nto: copy\nretries: 0\n${options.staging ? "staging: ./staged\n" : ""}` +
				`${options.pipelineKeys ?? ""}\ntables:${SHOP_TABLES(shop.schema)}`,
		});
		this.warehouse = this.project.path("warehouse.duckdb");
	}

	words(table: ShopTable): string[] {
		return ["run", "shop", "--table", `${this.shop.schema}.${table}`, "--interval", DAY];
	}

	/** What the destination's table has to hold after a run that saw the source as it is now. */
	expected(table: ShopTable): Promise<string[]> {
		return this.shop.lines(table, table === "visits" ? IN_DAY : "true");
	}

	rows(contents: Contents, table: ShopTable): readonly string[] | undefined {
		return contents.tables.get(`${this.shop.schema}.${table}`);
	}

	async read(): Promise<Contents> {
		const contents = await readWarehouse(this.warehouse);
		assertConsistent(contents);
		return contents;
	}

	/** Nothing of a run but its result: no staged file, no temporary one, no half-built table. */
	expectClean(contents: Contents): void {
		expect(leftovers(contents)).toEqual([]);
		expect(this.project.files("staged")).toEqual([]);
		expect(this.project.files(".headrace/tmp")).toEqual([]);
	}

	async [Symbol.asyncDispose](): Promise<void> {
		this.project[Symbol.dispose]();
	}
}

/**
 * One crash: a run of one table is killed at `point`; what is left is the old state or the new one; a plain run then
 * makes source and destination equal. The source stands still meanwhile.
 */
export async function crashOnce(copy: ShopCopy, table: ShopTable, point: string): Promise<void> {
	const before = await copy.read();
	const stream = (contents: Contents) => contents.positions.find((row) => row.stream.includes(`.${table}`));
	const wanted = await copy.expected(table);

	const killed = await copy.project.start(copy.words(table), { env: { HEADRACE_CRASH: point } }).ended;
	expect({ point, signal: killed.signal, stderr: killed.signal === null ? killed.stderr : "" }).toMatchObject({
		signal: "SIGKILL",
	});
	const after = await copy.read();
	const moved = (stream(after)?.seq ?? 0) - (stream(before)?.seq ?? 0);
	expect([0, 1]).toContain(moved);
	expect(copy.rows(after, table)).toEqual(moved === 1 ? wanted : copy.rows(before, table));
	if (/c10|c11/.test(point)) expect(moved).toBe(1);
	if (/c0|c15/.test(point) && !point.includes("#")) expect(moved).toBe(0);

	await copy.project.succeed(...copy.words(table));
	const healed = await copy.read();
	expect(copy.rows(healed, table)).toEqual(wanted);
	copy.expectClean(healed);
}
