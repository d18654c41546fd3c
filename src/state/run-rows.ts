import { HeadraceError } from "../core/errors.ts";
import type { RunReceipt, RunState, TableReceipt, TableSuccess } from "../core/state-store.ts";
import type { StateDatabase } from "./database.ts";
import { isHeld } from "./lease-rows.ts";
import {
	all,
	first,
	insert,
	jsonText,
	numberOrNull,
	places,
	type Row,
	run,
	textOf,
	textOrNull,
	type Work,
} from "./work.ts";

/** The parts of a receipt that only some runs have. */
type RunDetails = Pick<RunReceipt, "error" | "attempt_errors" | "stage" | "origin">;

function detailsOf({ error, attempt_errors, stage, origin }: RunReceipt): RunDetails | null {
	const details = {
		...(error !== undefined && { error }),
		...(attempt_errors !== undefined && { attempt_errors }),
		...(stage !== undefined && { stage }),
		...(origin !== undefined && { origin }),
	};
	return Object.keys(details).length === 0 ? null : details;
}

/** Who makes a run. */
export interface RunMaker {
	readonly holder: string;
	readonly bootId: string | null;
	/** Of its pipeline; null: nobody fences it. */
	readonly lease: { readonly name: string; readonly epoch: number } | null;
}

const COLUMNS = [
	"run_id",
	"pipeline",
	"interval_start",
	"interval_end",
	"state",
	"started_at",
	"finished_at",
	"details",
	"holder",
	"boot_id",
	"lease_name",
	"lease_epoch",
	"rows_loaded",
	"bytes",
	"tables_ms",
];
const REPLACED = COLUMNS.slice(1)
	.map((column) => `${column} = excluded.${column}`)
	.join(", ");

/** Inserts or replaces a run with its tables. */
export function* saveRun(receipt: RunReceipt, { holder, bootId, lease }: RunMaker): Work<void> {
	const { run_id, pipeline, interval, state, started_at, finished_at, stage } = receipt;
	const details = detailsOf(receipt);
	const json = details === null ? null : jsonText(details);
	const [start, end] = [interval?.start ?? null, interval?.end ?? null];
	const made = [holder, bootId, lease?.name ?? null, lease?.epoch ?? null];
	const sum = (of: (table: TableReceipt) => number) => receipt.tables.reduce((total, table) => total + of(table), 0);
	const sums = [
		sum((table) => table.rows_loaded),
		sum((table) => table.bytes),
		sum((table) => Math.round(table.seconds * 1000)),
	];
	const values = [run_id, pipeline, start, end, state, started_at, finished_at, json, ...made, ...sums];
	yield* insert("runs", COLUMNS, [values], `ON CONFLICT (run_id) DO UPDATE SET ${REPLACED}`);
	yield* replaceReceipts(run_id, receipt.tables);
	if (stage === "extract") return;
	yield* noteSuccesses(receipt);
	yield* noteInterval(receipt);
}

/** Remembers the run as the newest of its interval, where no newer one is known. */
function* noteInterval({ run_id, pipeline, interval, started_at, tables }: RunReceipt): Work<void> {
	if (interval === null) return;
	const names = new Set(tables.flatMap(({ table, mode }) => (mode === "interval" ? [table] : [])));
	yield* insert(
		"interval_runs",
		["pipeline", "interval_start", "interval_end", "table_name", "started_at", "run_id"],
		[...names].map((table) => [pipeline, interval.start, interval.end, table, started_at, run_id]),
		`ON CONFLICT (pipeline, interval_start, interval_end, table_name) DO UPDATE
			SET started_at = excluded.started_at, run_id = excluded.run_id
			WHERE (excluded.started_at, excluded.run_id) > (interval_runs.started_at, interval_runs.run_id)`,
	);
}

/** Of a table that is loaded by intervals its newest interval counts, else the last time. */
function* noteSuccesses({ pipeline, interval, started_at, finished_at, tables }: RunReceipt): Work<void> {
	const succeeded = new Map(tables.flatMap((each) => (each.state === "succeeded" ? [[each.table, each.mode]] : [])));
	yield* insert(
		"table_successes",
		["pipeline", "table_name", "interval_end", "ended_at", "is_interval"],
		[...succeeded].map(([table, mode]) => {
			const end = mode === "interval" ? (interval?.end ?? "") : "";
			return [pipeline, table!, end, finished_at ?? started_at, end === "" ? 0 : 1];
		}),
		`ON CONFLICT (pipeline, table_name, is_interval) DO UPDATE
			SET interval_end = excluded.interval_end, ended_at = excluded.ended_at
			WHERE (excluded.interval_end, excluded.ended_at) > (table_successes.interval_end, table_successes.ended_at)`,
	);
}

/** When each table of a pipeline was last loaded. */
export function* lastSuccesses(pipeline: string): Work<TableSuccess[]> {
	const rows = yield* all(
		`SELECT table_name, max(ended_at) AS ended_at FROM table_successes WHERE pipeline = $1
		GROUP BY table_name ORDER BY table_name`,
		pipeline,
	);
	return rows.map((row) => ({ table: textOf(row, "table_name"), at: textOf(row, "ended_at") }));
}

function* replaceReceipts(runId: string, tables: readonly TableReceipt[]): Work<void> {
	yield* run("DELETE FROM table_receipts WHERE run_id = $1", runId);
	yield* insert(
		"table_receipts",
		["run_id", "ordinal", "table_name", "state", "receipt"],
		tables.map((table, ordinal) => [runId, ordinal, table.table, table.state, jsonText(table)]),
	);
}

/** Runs whose tables are read by one statement. */
const READ_AT_ONCE = 500;

/** What the rows of runs say, with their tables, in the order of the rows. */
export function* receiptsOf(rows: readonly Row[]): Work<RunReceipt[]> {
	const tables = new Map<string, TableReceipt[]>(rows.map((row) => [textOf(row, "run_id"), []]));
	const ids = [...tables.keys()];
	for (let begin = 0; begin < ids.length; begin += READ_AT_ONCE) {
		const part = ids.slice(begin, begin + READ_AT_ONCE);
		const found = yield* all(
			`SELECT run_id, receipt FROM table_receipts WHERE run_id IN (${places(part.length)}) ORDER BY run_id, ordinal`,
			...part,
		);
		for (const row of found)
			tables.get(textOf(row, "run_id"))?.push(JSON.parse(textOf(row, "receipt")) as TableReceipt);
	}
	return rows.map((row) => {
		const details = textOrNull(row, "details");
		return {
			run_id: textOf(row, "run_id"),
			pipeline: textOf(row, "pipeline"),
			interval: intervalOf(row),
			state: textOf(row, "state") as RunState,
			started_at: textOf(row, "started_at"),
			finished_at: textOrNull(row, "finished_at"),
			tables: tables.get(textOf(row, "run_id")) ?? [],
			...(details === null ? {} : (JSON.parse(details) as RunDetails)),
		};
	});
}

export function intervalOf(row: Row): RunReceipt["interval"] {
	const [start, end] = [textOrNull(row, "interval_start"), textOrNull(row, "interval_end")];
	return start === null || end === null ? null : { start, end };
}

/**
 * The id of the run that is named so, wholly or by its beginning.
 * @throws E_USAGE when several runs begin so
 */
export function* findRunId(prefix: string): Work<string | null> {
	if (prefix === "") return null;
	// What pages ask for; only a beginning has to be looked for among all of them.
	const whole = yield* first("SELECT run_id FROM runs WHERE run_id = $1", prefix);
	if (whole !== null) return textOf(whole, "run_id");
	const rows = yield* all(
		`SELECT run_id FROM runs WHERE substr(run_id, 1, length(CAST($1 AS TEXT))) = $1
		ORDER BY length(run_id), run_id LIMIT 4`,
		prefix,
	);
	const ids = rows.map((row) => textOf(row, "run_id"));
	if (ids.length > 1)
		throw new HeadraceError("E_USAGE", `several runs begin with ${prefix}: ${ids.join(", ")}`, {
			hint: "Write more of the run id.",
		});
	return ids[0] ?? null;
}

const KILLED = {
	code: "E_STOPPED",
	message: "the run's process is gone: it was killed, or the machine was restarted",
	hint: "Run again: it goes on where it stopped.",
};
const SILENT = {
	code: "E_STOPPED",
	message: "the run's process said nothing for longer than its lock lasts: it is gone, or stood still",
	hint: "Run again: it goes on where it stopped.",
};

/**
 * A run whose process is gone never told its end: it counts as stopped, so that nobody waits for it. So does one whose
 * lease is over, or another's.
 */
export async function settleAbandonedRuns(database: StateDatabase): Promise<void> {
	const abandoned = await database.use(() => abandonedRuns(database));
	if (abandoned.length === 0) return;
	// Whoever sees it may say so, also a process that is fenced itself.
	await database.fencedBy(null).transaction(function* () {
		// Looked at again: its process may have come to its end meanwhile.
		for (const each of yield* abandonedRuns(database)) yield* settle(each);
	});
}

interface Abandoned {
	readonly runId: string;
	readonly error: typeof KILLED;
}

function* abandonedRuns(database: StateDatabase): Work<Abandoned[]> {
	const rows = yield* all(
		`SELECT r.run_id, r.holder AS made_by, r.boot_id AS made_on, r.lease_epoch, l.name, l.epoch, l.holder,
			l.expires_ms, l.boot_id, l.expires_uptime_ms
		FROM runs r LEFT JOIN leases l ON l.name = r.lease_name WHERE r.state = 'running'`,
	);
	if (rows.length === 0) return [];
	const now = yield* database.now();
	return rows.flatMap((row) => {
		const runId = textOf(row, "run_id");
		if (database.isDead(textOf(row, "made_by"), textOrNull(row, "made_on"))) return [{ runId, error: KILLED }];
		const epoch = numberOrNull(row, "lease_epoch");
		if (epoch === null) return [];
		const isOurs = numberOrNull(row, "epoch") === epoch && isHeld(database, row, now);
		return isOurs ? [] : [{ runId, error: SILENT }];
	});
}

function* settle({ runId, error }: Abandoned): Work<void> {
	yield* run("UPDATE runs SET state = 'stopped' WHERE run_id = $1", runId);
	const rows = yield* all("SELECT receipt FROM table_receipts WHERE run_id = $1 ORDER BY ordinal", runId);
	const isOpen = ({ state }: TableReceipt): boolean => state === "running" || state === "pending";
	yield* replaceReceipts(
		runId,
		rows
			.map((row) => JSON.parse(textOf(row, "receipt")) as TableReceipt)
			.map((table) => (isOpen(table) ? { ...table, state: "stopped", error: table.error ?? error } : table)),
	);
}
