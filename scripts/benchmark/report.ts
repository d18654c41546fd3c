/** The benchmark's figures as a table to read and a document to keep, with the targets that they are held against. */
import { cpus, totalmem } from "node:os";
import type { Result } from "./measure.ts";
import { RESUMED, WHOLE } from "./resume.ts";
import { DELAY_P99, FIRST_LIST, FIRST_PAINT, IDLE, SERVE_PARTS } from "./serve.ts";
import { SLOWEST } from "./serve-answers.ts";

export interface Section {
	readonly name: string;
	/** Rows that each contestant moves, when they all move the same. */
	readonly rows?: number;
	readonly results: readonly Result[];
	/** Name of the result that the others are divided by. */
	readonly base?: string;
	readonly absent?: readonly { readonly name: string; readonly reason: string }[];
}

export interface Target {
	readonly what: string;
	readonly value: number;
	readonly limit: number;
	/** `most`: the value may be this at most; `least`: it has to be this at least. */
	readonly kind: "most" | "least";
	readonly unit: string;
	readonly met: boolean;
}

const target = (what: string, value: number, kind: "most" | "least", limit: number, unit: string): Target[] =>
	Number.isNaN(value)
		? []
		: [{ what, value, limit, kind, unit, met: kind === "most" ? value <= limit : value >= limit }];

const wall = (section: Section | undefined, name: string): number =>
	section?.results.find((result) => result.name === name)?.wallSeconds ?? Number.NaN;

export const HEADRACE = "headrace";
export const HEADRACE_SMALL = "headrace --memory 256MB";

/** Shown, but not held against us: a script for one table that keeps all of it in memory is no tool. */
export const SCRIPT = "connectorx script";

const isPeer = (section: Section, result: Result): boolean =>
	!/^(headrace|psql)\b/.test(result.name) &&
	![section.base, SCRIPT].includes(result.name) &&
	result.error === undefined;

/** The targets that these sections have figures for. */
export function targetsOf(sections: readonly Section[]): Target[] {
	const targets: Target[] = [];
	for (const section of sections.filter(({ base }) => base !== undefined)) {
		const { name, results } = section;
		const ours = wall(section, HEADRACE);
		const loads = name.endsWith("→ PostgreSQL");
		const toRedshift = name.endsWith("Redshift stand-in");
		const compacts = section.base === "DuckDB COPY";
		const [against, most] = toRedshift
			? ["a direct load of PostgreSQL", 2.5]
			: compacts
				? [section.base!, 1.5]
				: loads
					? ["psql's COPY", 1.2]
					: ["the C client", name.endsWith("S3 stand-in") ? 1.5 : 1.3];
		targets.push(...target(`${name}: time against ${against}`, ours / wall(section, section.base!), "most", most, "×"));
		const leads: Record<string, number> = {
			"MySQL → DuckDB": 3,
			"MySQL → Parquet": 2,
			"MySQL → PostgreSQL": 2,
			"PostgreSQL → PostgreSQL": 2,
		};
		const best = Math.min(...results.filter((result) => isPeer(section, result)).map((result) => result.wallSeconds));
		if (leads[name] !== undefined && Number.isFinite(best)) {
			targets.push(...target(`${name}: faster than the best peer`, best / ours, "least", leads[name], "×"));
		}
		for (const result of results.filter((each) => each.error === undefined)) {
			// From files the rows come by the embedded DuckDB.
			const small = loads && !name.startsWith("Parquet");
			const limit = { [HEADRACE]: small ? 256 : 512, [HEADRACE_SMALL]: small ? 256 : 300 }[result.name];
			if (limit === undefined) continue;
			targets.push(...target(`${name}: memory of ${result.name}`, result.rssMegabytes, "most", limit, "MB"));
		}
	}
	for (const [name, where, seconds] of [
		["Incremental", "", 1.5],
		["Incremental into PostgreSQL", " into PostgreSQL", 2.5],
	] as const) {
		const section = sections.find((each) => each.name === name);
		const millis = 1000 * wall(section, "run with nothing to do");
		targets.push(...target(`run${where} with nothing to do`, millis, "most", 400, "ms"));
		const merge = section?.results.find((result) => result.name.startsWith("merge"));
		targets.push(...target(`merge of 100,000 rows${where}`, merge?.wallSeconds ?? Number.NaN, "most", seconds, "s"));
	}
	const version = sections.find(({ name }) => name === "Start-up");
	targets.push(...target("headrace --version", 1000 * wall(version, "headrace --version"), "most", 120, "ms"));
	for (const section of sections.filter(({ name }) => name.startsWith("Resume")))
		targets.push(
			...target(
				`${section.name}: ${RESUMED} against a whole one`,
				wall(section, RESUMED) / wall(section, WHOLE),
				"most",
				0.55,
				"×",
			),
		);
	targets.push(...serveTargets(sections), ...followTargets(sections));
	for (const result of sections.find(({ name }) => name === "Big")?.results ?? []) {
		const limit = result.name.includes("--memory") ? 300 : 512;
		targets.push(...target(`memory of ${result.name}`, result.rssMegabytes, "most", limit, "MB"));
	}
	return targets;
}

/** What `headrace serve` is held against: 1,000 pipelines, and 100,000 past runs. */
function serveTargets(sections: readonly Section[]): Target[] {
	const resultOf = (part: keyof typeof SERVE_PARTS, name: string) =>
		sections.find((each) => each.name === SERVE_PARTS[part].name)?.results.find((each) => each.name === name);
	const seconds = (what: string, part: keyof typeof SERVE_PARTS, name: string, limit: number) =>
		target(what, resultOf(part, name)?.wallSeconds ?? Number.NaN, "most", limit, "s");
	const memory = (what: string, part: keyof typeof SERVE_PARTS, name: string) =>
		target(`memory of headrace serve, ${what}`, resultOf(part, name)?.rssMegabytes ?? Number.NaN, "most", 250, "MB");
	const idle = resultOf("serve-idle", IDLE);
	const share = idle === undefined ? Number.NaN : (idle.cpuSeconds / idle.wallSeconds) * 100;
	return [
		...seconds("1,000 pipelines spread over a minute: start delay, p99", "serve-spread", DELAY_P99, 2),
		...memory("1,000 pipelines spread over a minute", "serve-spread", DELAY_P99),
		...seconds("the same while 200 watch: start delay, p99", "serve-watched", DELAY_P99, 2),
		...memory("1,000 pipelines while 200 watch", "serve-watched", DELAY_P99),
		...memory("1,000 pipelines in the same second", "serve-minute", DELAY_P99),
		...memory("nothing to do", "serve-idle", IDLE),
		...target("headrace serve with nothing to do", share, "most", 3, "% of a core"),
		...seconds("100,000 runs: slowest answer, p99", "serve-history", SLOWEST, 0.1),
		...seconds("100,000 runs: first list of pipelines after a start", "serve-history", FIRST_LIST, 0.1),
		...seconds("first paint", "serve-history", FIRST_PAINT, 1),
	];
}

function followTargets(sections: readonly Section[]): Target[] {
	const log = sections.find(({ name }) => name === "Change log of PostgreSQL");
	const rate = wall(log, "pg_recvlogical") / wall(log, HEADRACE);
	const targets = target("Change log of PostgreSQL: rate against pg_recvlogical", rate, "least", 0.5, "×");
	for (const { name, results } of sections.filter((section) => section.name.startsWith("Following ")))
		for (const result of results.filter((each) => each.name.endsWith("one transaction")))
			targets.push(...target(`${name}: memory, ${result.name}`, result.rssMegabytes, "most", 300, "MB"));
	return targets;
}

const figure = (value: number, digits: number): string =>
	Number.isNaN(value)
		? "–"
		: value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });

function table(section: Section): string {
	const base = section.base === undefined ? Number.NaN : wall(section, section.base);
	const lines = section.results.map((result) => {
		const seconds = result.wallSeconds;
		const cells = [
			result.name,
			figure(seconds, seconds < 1 ? 3 : 2),
			section.rows === undefined ? "–" : figure(section.rows / seconds / 1000, 0),
			figure(result.cpuSeconds, 2),
			figure(result.rssMegabytes, 0),
			figure(seconds / base, 2),
			`${result.runs}`,
			result.error === undefined ? (result.note ?? "") : `failed: ${result.error}`,
		];
		return `| ${cells.map((cell) => cell.replaceAll("|", "\\|").replaceAll("\n", " ")).join(" | ")} |`;
	});
	const absent = (section.absent ?? []).map(({ name, reason }) => `| ${name} | – | – | – | – | – | 0 | ${reason} |`);
	return [
		`## ${section.name}`,
		"",
		"| | wall s | 1000 rows/s | CPU s | RSS MB | × C client | runs | |",
		"|---|--:|--:|--:|--:|--:|--:|---|",
		...lines,
		...absent,
		"",
	].join("\n");
}

export function machine(): string {
	const [cpu] = cpus();
	const memory = Math.round(totalmem() / 2 ** 30);
	return `${cpus().length} × ${cpu?.model.trim() ?? "unknown processor"}, ${memory} GiB, Node ${process.version}`;
}

export function markdown(sections: readonly Section[], targets: readonly Target[], about: readonly string[]): string {
	const rows = targets.map(({ what, value, limit, kind, unit, met }) => {
		const digits = unit === "×" || unit === "s" ? 2 : unit.startsWith("%") ? 1 : 0;
		return `| ${what} | ${figure(value, digits)} ${unit} | ${kind === "most" ? "≤" : "≥"} ${limit} ${unit} | ${met ? "✓" : "✗"} |`;
	});
	return [
		...about,
		"",
		...sections.map(table),
		...(rows.length === 0 ? [] : ["## Targets", "", "| | measured | target | |", "|---|--:|--:|---|", ...rows, ""]),
	].join("\n");
}
