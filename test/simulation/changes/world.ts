import { plainFormat } from "../../../src/conformance/index.ts";
import { tableId } from "../../../src/connectors/memory/database.ts";
import {
	MemoryDatabase,
	MemoryFolder,
	MemoryWarehouse,
	memoryDestination,
	memorySource,
	memoryStaging,
} from "../../../src/connectors/memory/index.ts";
import { DEFAULT_TYPE_POLICY, type SourceTable, type TableName } from "../../../src/core/index.ts";
import { changeTarget, type TableTask } from "../../../src/flow/index.ts";
import type { Random } from "../random.ts";
import type { FlowPorts } from "../watch.ts";

export const PIPELINE = "shop";
export const CHUNK_ROWS = 2;
const BEGIN = 1_705_363_180_000_000n;

/** What a seed decides once for its world. */
export interface ChangeWorldOptions {
	readonly cuts: "exact" | "overlapping" | "slots";
	/** Updates do not tell `big` when it stays as it is. */
	readonly toasted: boolean;
	readonly beforeImages: "whole" | "key";
	/** What becomes of the second and the third table; the first is always merged. The third has no key. */
	readonly second: "merge" | "soft" | "history" | "none";
	readonly third: "append" | "none";
	readonly staged: boolean;
	readonly chunked: boolean;
	readonly chunksBy: "key" | "place";
	readonly proves: boolean;
	/** The order in which columns land is not that of the source. */
	readonly reordered: boolean;
	/** Changes of keys happen. */
	readonly moves: boolean;
	/** Columns are added. */
	readonly alters: boolean;
	/** The source may forget a part of its log that is needed. */
	readonly purges: boolean;
	readonly batchRowsMax: number;
	readonly flushRows: number;
	readonly concurrency: number;
	/** The time that the log tells of a transaction: with `begin` times go back. */
	readonly stamps: "commit" | "begin";
}

export function drawChangeOptions(random: Random): ChangeWorldOptions {
	const cuts = random.pick(["exact", "overlapping", "slots"] as const);
	// Versions and rows without a key need an exact cut.
	const strict = cuts !== "overlapping";
	return {
		cuts,
		toasted: random.chance(0.5),
		beforeImages: random.pick(["whole", "key"]),
		second: random.pick(
			strict ? (["merge", "soft", "history", "none"] as const) : (["merge", "soft", "none"] as const),
		),
		third: strict && random.chance(0.4) ? "append" : "none",
		staged: random.chance(0.4),
		chunked: random.chance(0.6),
		chunksBy: random.pick(["key", "key", "place"]),
		proves: random.chance(0.5),
		reordered: random.chance(0.5),
		moves: random.chance(0.6),
		alters: random.chance(0.3),
		purges: random.chance(0.2),
		batchRowsMax: random.integer(1, 3),
		flushRows: random.integer(1, 6),
		concurrency: random.integer(1, 2),
		stamps: random.pick(["commit", "commit", "begin"]),
	};
}

/** A table of the source, and how it lands. */
export interface Followed {
	readonly name: TableName;
	readonly target: TableName;
	readonly write: "merge" | "history" | "append";
	readonly deletes: "hard" | "soft";
	readonly keyed: boolean;
}

const named = (name: string) => ({ name: { schema: "main", name }, target: { schema: "raw", name } });

/** Everything that outlives a process. */
export class ChangeWorld {
	readonly options: ChangeWorldOptions;
	readonly database: MemoryDatabase;
	readonly warehouse = new MemoryWarehouse();
	readonly folder = new MemoryFolder();
	readonly format = plainFormat(3);
	readonly tables: readonly Followed[];
	clock = BEGIN;
	/** What happens at the source while a snapshot is opened. */
	whileOpening: () => void = () => {};
	readonly temporaryFolder: string;
	/** By the list of columns that a table has. */
	readonly #described = new Map<unknown, SourceTable>();

	constructor(options: ChangeWorldOptions, temporaryFolder: string) {
		this.options = options;
		this.temporaryFolder = temporaryFolder;
		this.database = new MemoryDatabase(() => this.clock, { stamps: options.stamps });
		const { second, third } = options;
		const more: Followed[] = [];
		if (second !== "none")
			more.push({
				...named("people"),
				write: second === "history" ? "history" : "merge",
				deletes: second === "soft" ? "soft" : "hard",
				keyed: true,
			});
		if (third !== "none") more.push({ ...named("events"), write: "append", deletes: "hard", keyed: false });
		this.tables = [{ ...named("orders"), write: "merge", deletes: "hard", keyed: true }, ...more];
		for (const { name, keyed } of this.tables)
			this.database.createTable(
				name,
				[
					{ name: "id", type: { kind: "int64" }, nullable: false },
					{ name: "v", type: { kind: "text" }, nullable: true },
					{ name: "big", type: { kind: "text" }, nullable: true },
				],
				keyed ? ["id"] : [],
			);
	}

	/** A new process's own connections. */
	ports(): FlowPorts {
		const { cuts, toasted, beforeImages, batchRowsMax, chunksBy, proves } = this.options;
		return {
			source: memorySource(this.database, {
				batchRowsMax,
				chunksBy,
				provesUnchanged: proves,
				log: {
					cuts,
					beforeImages,
					toasted: toasted ? ["big"] : [],
					whileOpening: () => this.whileOpening(),
				},
			}),
			destination: memoryDestination(this.warehouse, { clock: () => this.clock }),
			staging: memoryStaging(this.folder, { temporaryFolder: this.temporaryFolder }),
		};
	}

	/** What a plan would make of the tables. `refreshed`: those that are to be read anew. */
	async tasks(refreshed: ReadonlySet<string>): Promise<TableTask[]> {
		const { source, destination } = this.ports();
		const tables: SourceTable[] = [];
		for (const { name } of this.tables) {
			const { columns } = this.database.table(name);
			const [described] = this.#described.has(columns)
				? [this.#described.get(columns)!]
				: await source.describe([{ table: name, types: DEFAULT_TYPE_POLICY }]);
			this.#described.set(columns, described!);
			tables.push(described!);
		}
		return this.tables.map((followed, index): TableTask => {
			const table = tables[index]!;
			const { write, deletes, target, keyed } = followed;
			const columns = this.#columnsOf(table);
			const own = columns.map(({ name, type, nullable }) => ({
				name: targetName(name),
				type,
				nullable,
				destinationType: type.kind,
			}));
			const plain = { name: target, columns: own, key: keyed ? ["id"] : [] };
			// A table that is said to be huge is read in chunks: see CHUNK_ROWS.
			const big = this.options.chunked && index === 0 ? { estimatedRows: 5_000_000 } : {};
			return {
				stream: `main.${table.name.name}`,
				table: { ...table, ...big },
				columns,
				types: DEFAULT_TYPE_POLICY,
				target: changeTarget(plain, { write, deletes, beforeImages: false }, destination),
				mode: "cdc",
				write,
				deletes,
				allowEmpty: true,
				fullRefresh: refreshed.has(table.name.name),
				schemaVersion: String(columns.length),
				...this.#reading(followed, columns),
				timezone: "UTC",
			};
		});
	}

	/** As a plan decides it: rows that are there are read once more for the values of a column that is new. */
	#reading({ target, write }: Followed, columns: SourceTable["columns"]): Pick<TableTask, "reading"> {
		const known = this.warehouse.state.tables.get(tableId(target));
		const isNew = ({ name }: { name: string }) =>
			known?.columns.every((column) => column.name !== targetName(name)) === true;
		return write === "merge" && columns.some(isNew) ? { reading: "again" } : {};
	}

	readonly #orders = new Map<SourceTable, SourceTable["columns"]>();

	/** The same list each time: batches are pooled by it. */
	#columnsOf(table: SourceTable): SourceTable["columns"] {
		if (!this.options.reordered) return table.columns;
		const known = this.#orders.get(table) ?? [...table.columns.slice(2), table.columns[0]!, table.columns[1]!];
		this.#orders.set(table, known);
		return known;
	}
}

/** The column has another name in the destination: the two must not be mixed up. */
export function targetName(name: string): string {
	return name === "v" ? "value" : name;
}
