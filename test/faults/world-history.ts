/** The history that a pipeline has built of a world, held against what the world's tables held. */
import { expect } from "vitest";
import type { WorldCopy } from "./world-copy.ts";
import { plain } from "./world-copy.ts";
import { brief, type WorldOracle, type WorldState } from "./world-oracle.ts";

interface Version {
	/** Microseconds since 1970; `to` is null while it stands. */
	readonly from: bigint;
	readonly to: bigint | null;
	readonly values: Readonly<Record<string, string | null>>;
}

/** What was compared. */
export interface Compared {
	/** Moments between commits, and those of commits. */
	moments: number;
	/** Tables at these moments. */
	tables: number;
}

export class WorldHistory {
	readonly #copy: WorldCopy;
	readonly #oracle: WorldOracle;
	/** Times in a log are whole seconds: a commit has that of its second. */
	readonly #inSeconds: boolean;

	constructor(copy: WorldCopy, oracle: WorldOracle) {
		this.#copy = copy;
		this.#oracle = oracle;
		this.#inSeconds = copy.world.dialect === "mysql";
	}

	/**
	 * Each table, as of every moment from the begin of its history on, is what the world was then: between two commits, and
	 * at the microsecond of each commit and the one before. Moments after `until`, the time of the last commit
	 * that is there, are not known yet.
	 */
	async expectAsOf(until: bigint | null, what: string): Promise<Compared> {
		const versions = await this.#versions();
		const compared = { moments: 0, tables: 0 };
		const commitTimes = new Set<bigint>();
		for (const { from, to, values } of [...versions.values()].flat()) {
			if (values["_headrace_operation"] !== "snapshot") commitTimes.add(from);
			if (to !== null) commitTimes.add(to);
		}
		for (const at of this.#moments(commitTimes)) {
			if (until !== null && (this.#inSeconds ? at >= until : at > until)) break;
			const states = this.#statesAt(at, commitTimes);
			compared.moments++;
			for (const name of states[0]!.tables.keys()) {
				const known = versions.get(name);
				if (known === undefined || known.every(({ from }) => from > at)) continue;
				const rows = known.filter(({ from, to }) => from <= at && (to === null || to > at)).map(({ values }) => values);
				this.#expectState(name, states, rows, `${name} as of ${timeText(at)} ${what}`);
				compared.tables++;
			}
		}
		return compared;
	}

	/** `headrace history` prints what a table held in the middle of the time since its history begins, and in the end. */
	async expectCommand(table: string): Promise<void> {
		const versions = (await this.#versions()).get(table)!;
		const isKnown = (time: bigint) => versions.some(({ from }) => from <= time);
		const later = this.#oracle.states.filter(({ before }) => isKnown(before));
		const states = later.length === 0 ? this.#oracle.states.slice(-1) : [later[later.length >> 1]!, later.at(-1)!];
		for (const { after } of states) {
			const at = this.#inSeconds ? after - (after % 1_000_000n) : after;
			const { project, world } = this.#copy;
			const words = ["history", "world", `${world.schema}.${table}`, "--as-of", timeText(at)];
			const { code, stdout, stderr } = await project.run(...words);
			expect(code, stdout + stderr).toBe(0);
			const lines = stdout.split("\n").filter((line) => line.startsWith('{"'));
			// The verb's own object is the last.
			const rows = lines.map((line) => JSON.parse(line) as Record<string, string | null>).slice(0, -1);
			expect(rows.length).toBeGreaterThan(0);
			this.#expectState(table, this.#statesAt(at, new Set()), rows, words.join(" "));
		}
	}

	/** The rows are those of one of the states. */
	#expectState(
		table: string,
		states: readonly WorldState[],
		rows: readonly Readonly<Record<string, string | null>>[],
		what: string,
	): void {
		// A column that came and went before its rows were applied is in no version.
		const now = this.#oracle.states.at(-1)!.tables.get(table)?.columns;
		const hasCome = (name: string) => now?.includes(name) === true || rows[0] === undefined || name in rows[0];
		const differences = states.map((state) => {
			const of = state.tables.get(table);
			if (of === undefined) return [];
			const places = of.columns.flatMap((column, place) => {
				// Without proof that a column has another name, the destination keeps it and adds another.
				const isThere = rows[0] !== undefined && column in rows[0];
				const name = isThere ? column : this.#nameLater(table, column, state);
				return hasCome(name) ? [{ name, place }] : [];
			});
			const there = rows.map((row) => places.map(({ name }) => text(row[name] ?? null)).join("|")).sort();
			const then = of.rows.map((row) => places.map(({ place }) => text(row[place]!)).join("|")).sort();
			const [inHistory, inWorld] = [new Set(there), new Set(then)];
			const surplus = there.filter((line) => !inWorld.has(line)).map((line) => `history ${line}`);
			const lacking = then.filter((line) => !inHistory.has(line)).map((line) => `world   ${line}`);
			const counts = there.length === then.length ? [] : [`${there.length} rows for ${then.length}`];
			return [...counts, ...surplus.slice(0, 4), ...lacking.slice(0, 4)];
		});
		const least = differences.reduce((a, b) => (b.length < a.length ? b : a));
		if (least.length > 0)
			expect.fail(`${what} (${states[0]!.tables.get(table)?.columns.join(", ")}):\n${least.join("\n")}`);
	}

	/** The states that tables may have had as of a moment: two within a commit whose own time is not known. */
	#statesAt(at: bigint, commitTimes: ReadonlySet<bigint>): WorldState[] {
		const { states } = this.#oracle;
		const floor = (time: bigint) => (this.#inSeconds ? time - (time % 1_000_000n) : time);
		const last = states.findLast((state) => floor(state.after) <= at) ?? states[0]!;
		const begun = states.find((state) => floor(state.before) <= at && floor(state.after) > at);
		if (begun === undefined) return [last];
		const own = this.#inSeconds
			? undefined
			: [...commitTimes].find((time) => time >= begun.before && time < begun.after);
		if (own === undefined) return [last, begun];
		return [own <= at ? begun : last];
	}

	/** Moments in their order. */
	#moments(commitTimes: ReadonlySet<bigint>): bigint[] {
		const { states } = this.#oracle;
		if (this.#inSeconds) {
			const [first, last] = [states[0]!.before / 1_000_000n, states.at(-1)!.after / 1_000_000n];
			return Array.from({ length: Number(last - first) + 2 }, (_, index) => (first + BigInt(index)) * 1_000_000n);
		}
		const known = new Set(states.flatMap(({ before, after }) => [before, after]));
		for (const time of commitTimes) known.add(time).add(time - 1n);
		return [...known].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
	}

	/** The name that a column has in the table by now. */
	#nameLater(table: string, column: string, since: WorldState): string {
		const { states } = this.#oracle;
		let name = column;
		for (const { renamed } of states.slice(states.indexOf(since) + 1))
			if (renamed?.table === table && renamed.from === name) name = renamed.to;
		return name;
	}

	async #versions(): Promise<ReadonlyMap<string, readonly Version[]>> {
		const { schema } = this.#copy.world;
		const found = await this.#copy.query(
			`select table_name as "table" from information_schema.columns where table_schema = '${schema}' and column_name = '_headrace_valid_to'`,
		);
		const versions = new Map<string, readonly Version[]>();
		for (const { table } of found) {
			const rows = await this.#copy.rows(table!);
			versions.set(
				table!,
				rows.map((values) => ({
					from: micros(values["_headrace_valid_from"]!)!,
					to: micros(values["_headrace_valid_to"] ?? null),
					values,
				})),
			);
		}
		return versions;
	}
}

function text(value: string | null): string {
	return value === null ? "∅" : plain(brief(value)!);
}

/** `2026-11-21 10:00:00.5+00`, as both destinations write it in UTC. */
function micros(time: string | null): bigint | null {
	if (time === null) return null;
	const [, day, clock, fraction = ""] = /^(\S+) (\d\d:\d\d:\d\d)(?:\.(\d+))?\+00$/.exec(time)!;
	return BigInt(Date.parse(`${day}T${clock}Z`)) * 1000n + BigInt(fraction.padEnd(6, "0"));
}

/** A moment as `--as-of` takes it. */
export function timeText(at: bigint): string {
	const seconds = new Date(Number(at / 1000n)).toISOString().slice(0, 19);
	return `${seconds}.${String(at % 1_000_000n).padStart(6, "0")}Z`;
}
