/** A project that follows a world's log, and what its copy has to look like. */
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import type { ChangesPosition, FollowedTable } from "../../src/core/index.ts";
import type { TestDatabase } from "../support/shared.ts";
import { assertBalanced, type CommandResult, envelopeOf, Project } from "./project.ts";
import { queryWarehouse } from "./warehouse.ts";
import { line, type World } from "./world.ts";

export class WorldCopy implements Disposable {
	readonly project: Project;
	readonly world: World;
	readonly #target: TestDatabase | null;

	/** Into a DuckDB file, or a database. `keys`: more of the pipeline file; `write`: how tables are written. */
	constructor(world: World, target: TestDatabase | null, keys: string, write = "merge") {
		this.world = world;
		this.#target = target;
		this.project = new Project({
			"connections.yaml": `source: "${world.database.url}"\ncopy: "${target?.url ?? "duckdb:copy.duckdb"}"\n`,
			"pipelines/world.yaml": `pipeline: world\nfrom: source\nto: copy\nretries: 50\nretry_delay: 0.1s\n${keys}tables:\n  ${world.schema}.w_*: { mode: cdc, write: ${write} }\n`,
		});
	}

	async query(sql: string): Promise<Record<string, string | null>[]> {
		if (this.#target !== null) return this.#target.query(sql);
		if (!existsSync(this.project.path("copy.duckdb"))) return [];
		const rows = await queryWarehouse(this.project.path("copy.duckdb"), sql);
		return rows.map((row) =>
			Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value === null ? null : String(value)])),
		);
	}

	/** All rows of a table, each value as the destination's text. */
	async rows(table: string): Promise<Record<string, string | null>[]> {
		const { schema } = this.world;
		const columns = await this.query(
			`select column_name as name from information_schema.columns where table_schema = '${schema}' and table_name = '${table}'`,
		);
		const list = columns.map(({ name }) => `cast("${name}" as varchar) as "${name}"`).join(", ");
		return this.query(`select ${list} from "${schema}"."${table}"`);
	}

	/** Tables that follow the log, all at one place; null while some are being read or catch up. */
	async #following(): Promise<string[] | null> {
		const position = await this.#position();
		if (position === null) return null;
		const { tables } = position;
		const isBehind = ({ since: _time, ...place }: FollowedTable) => Object.keys(place).length > 0;
		return Object.values(tables).some(isBehind) ? null : Object.keys(tables);
	}

	async #position(): Promise<ChangesPosition | null> {
		const exists = await this.query(
			"select 1 as one from information_schema.tables where table_schema = '_headrace' and table_name = 'positions'",
		);
		if (exists.length === 0) return null;
		const [row] = await this.query("select position from _headrace.positions where stream = 'changes'");
		const position = row?.["position"];
		return position === null || position === undefined ? null : (JSON.parse(position) as ChangesPosition);
	}

	/** When the last transaction that it has was committed, in microseconds since 1970. */
	async committedAt(): Promise<bigint> {
		const { committedAt } = (await this.#position()) ?? {};
		return BigInt(committedAt ?? 0);
	}

	/** What no transaction changes, over the tables that ever had amounts; null while the copy can't be held against it. */
	async sum(): Promise<string | null> {
		const { world } = this;
		const following = await this.#following();
		const names = [world.vault, ...world.tables].filter(({ isLasting }) => isLasting).map(({ name }) => name);
		if (following === null || !names.every((name) => following.includes(`${world.schema}.${name}`))) return null;
		const sums = names.map((name) => `(select coalesce(sum(amount), 0) from "${world.schema}"."${name}")`);
		const [row] = await this.query(`select cast(${sums.join(" + ")} as varchar) as total`);
		return row!["total"]!;
	}

	/** A run that has ended, up to the log's end; it may only stop for one of these errors, whose printed cure is done. */
	async #stopped(result: CommandResult, allowed: readonly string[]): Promise<string> {
		const { errors } = envelopeOf(result);
		const [error] = errors;
		if (error === undefined || errors.some(({ code }) => !allowed.includes(code))) {
			const told = [...new Set(errors.map(({ code, message }) => `${code} ${message}`))].join("\n");
			throw new Error(`a run ended with ${result.code ?? result.signal}: ${told || result.stderr}`);
		}
		const command = /`headrace ([^`]+)`/.exec(error.hint)![1]!.replace("<pipeline>", "world");
		await this.project.succeed(...command.split(" "));
		return error.code;
	}

	/** Follows the log until it is killed, at the latest so long after it began; gives the error that it stopped for before. */
	async killed(
		afterMs: number,
		env: Readonly<Record<string, string | undefined>>,
		allowed: readonly string[],
	): Promise<string | null> {
		const run = this.project.start(["run", "world", "--follow"], { env });
		await run.says(/ started/).catch(() => undefined);
		await Promise.race([sleep(afterMs), run.ended]);
		run.kill("SIGKILL");
		const result = await run.ended;
		return result.signal === "SIGKILL" ? null : this.#stopped(result, allowed);
	}

	/** Runs up to the log's end until one succeeds, whose receipt balances; gives the errors that were cured. */
	async settle(allowed: readonly string[]): Promise<string[]> {
		const cured: string[] = [];
		while (true) {
			const result = await this.project.run("run", "world");
			if (result.code === 0) {
				for (const run of envelopeOf(result).data!.runs) assertBalanced(run);
				return cured;
			}
			if (cured.length === 3) throw new Error(`a run still stops after ${cured.join(", ")} were cured`);
			cured.push(await this.#stopped(result, allowed));
		}
	}

	/** Every table of the source is in the copy with its rows; columns that the source has no more are the copy's own. */
	async expectEqual(what: string): Promise<void> {
		for (const [name, { columns, lines: printed }] of await this.world.contents()) {
			const lines = printed.map(plain).sort();
			const list = columns.map((column) => `cast("${column}" as varchar) as "${column}"`).join(", ");
			const rows = await this.query(`select ${list} from "${this.world.schema}"."${name}"`);
			const copied = rows.map((row) => plain(line(columns.map((column) => row[column]!)))).sort();
			const [inSource, inCopy] = [new Set(lines), new Set(copied)];
			const surplus = copied.filter((text) => !inSource.has(text)).map((text) => `copy   ${text}`);
			const lacking = lines.filter((text) => !inCopy.has(text)).map((text) => `source ${text}`);
			const about = `${name} (${columns.join(", ")}) ${what}`;
			const shown = [...surplus.slice(0, 4), ...lacking.slice(0, 4)].join("\n");
			expect(surplus.length + lacking.length, `${about}:\n${shown}`).toBe(0);
			expect(copied.length, about).toBe(lines.length);
		}
	}

	[Symbol.dispose](): void {
		this.project[Symbol.dispose]();
	}
}

/** A copy keeps the wider of two types that a column had: its numbers have more places, its days a time. */
export function plain(text: string): string {
	return text
		.replace(/(\.\d*?)0+(?=\||$)/g, (_all, kept: string) => (kept === "." ? "" : kept))
		.replaceAll(" 00:00:00", "");
}
