import { plainFormat } from "../../src/conformance/index.ts";
import {
	MemoryDatabase,
	MemoryFolder,
	MemoryWarehouse,
	memoryDestination,
	memorySource,
	memoryStaging,
} from "../../src/connectors/memory/index.ts";
import {
	type ColumnType,
	DEFAULT_TYPE_POLICY,
	type Destination,
	type FileFormat,
	type Source,
	type SourceTable,
	type Staging,
	type TableName,
	timestampText,
} from "../../src/core/index.ts";
import type { TableTask } from "../../src/flow/index.ts";
import type { Random } from "./random.ts";

export const TABLE: TableName = { schema: "main", name: "orders" };
export const TARGET: TableName = { schema: "raw", name: "orders" };
export const PIPELINE = "shop";

/** 2024-01-15 23:59:40 UTC, microseconds: midnight comes soon. */
const BEGIN = 1_705_363_180_000_000n;
const SECOND = 1_000_000n;
export const INTERVAL_SECONDS = 20n;
export const INTERVALS = 3;

/** What a seed decides once for its world. */
export interface WorldOptions {
	readonly kind: "full" | "merge" | "append" | "interval-merge" | "interval-append";
	readonly staged: boolean;
	/** How the cursor column is typed and filled: by the transaction's start or the statement's time, or a sequence. */
	readonly cursorType: "timestamp" | "timestamptz" | "date" | "int64";
	readonly stamped: "at-start" | "at-statement";
	/** Microseconds that the cursor column can tell apart: 1, or a second as in MySQL's DATETIME. */
	readonly resolution: bigint;
	readonly marks: "clock" | "xid" | "none";
	readonly late: boolean;
	readonly overlap: boolean;
	readonly flagged: boolean;
	readonly batchRowsMax: number;
	readonly rowsPerFile: number;
	/** Connections that read at once. */
	readonly readers: number;
	/** The whole of the table is read in chunks that outlive a killed run. */
	readonly chunked: boolean;
	/** Ranges of the key, or places that an update moves a row between. */
	readonly chunksBy: "key" | "place";
	/** The source can tell whether a chunk's rows have changed. */
	readonly proves: boolean;
}

export function drawOptions(random: Random): WorldOptions {
	const kind = random.pick([
		"full",
		"merge",
		"merge",
		"merge",
		"append",
		"append",
		"interval-merge",
		"interval-append",
	]);
	const marks = random.pick(["clock", "clock", "xid", "none"] as const);
	const byTime = kind.startsWith("interval") || marks === "none" || random.chance(0.75);
	return {
		kind: kind as WorldOptions["kind"],
		staged: random.chance(0.6),
		cursorType: !byTime
			? "int64"
			: random.pick(["timestamp", "timestamptz", kind.startsWith("interval") ? "timestamp" : "date"]),
		stamped: random.pick(["at-start", "at-statement"]),
		resolution: random.pick([1n, SECOND]),
		marks,
		// Without marks nothing but the clock tells what may still come.
		late: byTime && (marks === "none" || random.chance(0.2)),
		overlap: byTime && random.chance(0.2),
		flagged: kind === "merge" && random.chance(0.5),
		batchRowsMax: random.integer(1, 3),
		rowsPerFile: random.integer(2, 4),
		readers: random.pick([1, 1, 1, 2]),
		chunked: !kind.startsWith("interval") && random.chance(0.4),
		chunksBy: random.pick(["key", "place"]),
		proves: random.chance(0.6),
	};
}

/** Rows of a chunk. */
export const CHUNK_ROWS = 2;
export const LATE_MS = 8_000;
/** Writers end their transactions in this time, so that `late` is truly longer. */
export const TRANSACTION_AGE_MAX = 6n * SECOND;

/** Everything that outlives a process: both ends, the files between, and time. */
export class World {
	readonly options: WorldOptions;
	readonly database: MemoryDatabase;
	readonly warehouse = new MemoryWarehouse();
	readonly folder = new MemoryFolder();
	readonly format: FileFormat;
	readonly cursorType: ColumnType;
	clock = BEGIN;
	readonly #temporaryFolder: string;
	/** The columns never change here. */
	#described: Promise<SourceTable[]> | null = null;

	constructor(options: WorldOptions, temporaryFolder: string) {
		this.options = options;
		this.#temporaryFolder = temporaryFolder;
		this.database = new MemoryDatabase(() => this.clock);
		this.format = plainFormat(options.rowsPerFile);
		this.cursorType = { kind: options.cursorType };
		this.database.createTable(
			TABLE,
			[
				{ name: "id", type: { kind: "int64" }, nullable: false },
				{ name: "v", type: { kind: "text" }, nullable: true },
				{ name: "updated_at", type: this.cursorType, nullable: true },
				{ name: "gone", type: { kind: "boolean" }, nullable: true },
			],
			options.kind.endsWith("append") ? [] : ["id"],
		);
	}

	/** A new process's own connections. */
	ports(): { readonly source: Source; readonly destination: Destination; readonly staging: Staging } {
		return {
			source: memorySource(this.database, {
				marks: this.options.marks,
				batchRowsMax: this.options.batchRowsMax,
				chunksBy: this.options.chunksBy,
				provesUnchanged: this.options.proves,
			}),
			destination: memoryDestination(this.warehouse, { clock: () => this.clock }),
			staging: memoryStaging(this.folder, { temporaryFolder: this.#temporaryFolder }),
		};
	}

	/** A time as the cursor column holds it. */
	cursorAt(micros: bigint): string {
		const text = timestampText(micros - (micros % this.options.resolution));
		if (this.options.cursorType === "date") return text.slice(0, 10);
		return this.options.cursorType === "timestamptz" ? `${text}+00` : text;
	}

	/** Start and end of an interval, as a pipeline names it. */
	interval(index: number): { readonly start: string; readonly end: string } {
		const at = (number: number) => timestampText(BEGIN + BigInt(number) * INTERVAL_SECONDS * SECOND);
		return { start: at(index), end: at(index + 1) };
	}

	/** What a plan would make of the table, as it is described now. */
	async task(interval: number | null, fullRefresh: boolean): Promise<TableTask> {
		const { kind, flagged, late, overlap, chunked } = this.options;
		this.#described ??= this.ports().source.describe([{ table: TABLE, types: DEFAULT_TYPE_POLICY }]);
		const [table] = await this.#described;
		const byInterval = kind.startsWith("interval");
		const target = table!.columns.map(({ name, type, nullable }) => ({
			name: targetName(name),
			type,
			nullable,
			destinationType: type.kind,
		}));
		return {
			stream: interval === null ? "main.orders" : `main.orders@${this.interval(interval).start}`,
			// A table that is said to be huge is read in chunks: see CHUNK_ROWS.
			table: { ...table!, ...(chunked ? { estimatedRows: 5_000_000 } : {}) } as SourceTable,
			columns: table!.columns,
			types: DEFAULT_TYPE_POLICY,
			target: { name: TARGET, columns: target, key: kind.endsWith("append") ? [] : ["id"] },
			mode: kind === "full" ? "full" : byInterval ? "interval" : "incremental",
			write: kind === "full" ? "replace" : kind.endsWith("append") ? "append" : "merge",
			...(kind === "full" ? {} : { cursor: "updated_at", targetCursor: targetName("updated_at") }),
			...(late && !byInterval ? { lateMs: LATE_MS } : {}),
			...(overlap && !byInterval ? { overlapMs: 1_500 } : {}),
			...(flagged ? { deletedColumn: "gone" } : {}),
			...(interval === null ? {} : { interval: this.interval(interval) }),
			allowEmpty: false,
			fullRefresh,
			schemaVersion: "1",
			timezone: "UTC",
		};
	}
}

/** The cursor has another name in the destination: the two must not be mixed up. */
export function targetName(name: string): string {
	return name === "updated_at" ? "modified" : name;
}
