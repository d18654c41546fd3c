/**
 * What a world's tables held after each commit, seen by a client of its own: commits stand in a line, and between two of
 * them all tables are read. It knows nothing of logs.
 */
import { createHash } from "node:crypto";
import type { TextClient } from "../support/client.ts";
import type { World } from "./world.ts";

export interface StateTable {
	readonly columns: readonly string[];
	/** Values by column; long ones as their hash. */
	readonly rows: readonly (readonly (string | null)[])[];
}

/** What all tables held from one commit to the next. */
export interface WorldState {
	/** The commit was between these two, in microseconds since 1970 by the server's clock. */
	readonly before: bigint;
	readonly after: bigint;
	readonly tables: ReadonlyMap<string, StateTable>;
	/** Another name of a column, which came with this state. */
	readonly renamed: { readonly table: string; readonly from: string; readonly to: string } | null;
}

export class WorldOracle implements AsyncDisposable {
	readonly states: WorldState[] = [];
	readonly #world: World;
	readonly #client: TextClient;
	#columns: ReadonlyMap<string, readonly string[]> | null = null;
	#last: Promise<unknown> = Promise.resolve();

	private constructor(world: World, client: TextClient) {
		this.#world = world;
		this.#client = client;
	}

	/** Begins with what the tables hold now; nobody may write meanwhile. */
	static async open(world: World): Promise<WorldOracle> {
		const oracle = new WorldOracle(world, await world.database.connect());
		await oracle.commit(async () => undefined);
		return oracle;
	}

	/** Does what commits, when no other commit is under way, and looks at what it leaves. */
	commit<T>(work: () => Promise<T>, renamed: WorldState["renamed"] = null): Promise<T> {
		const done = this.#last.then(async () => {
			const before = await this.#clock();
			const result = await work();
			const after = await this.#clock();
			this.states.push({ before, after, tables: await this.#read(), renamed });
			return result;
		});
		this.#last = done.catch(() => undefined);
		return done;
	}

	/** A client whose statements outside of transactions, and whose commits, are looked at. */
	recording(client: TextClient): TextClient {
		let isOpen = false;
		return {
			...client,
			query: async (sql) => {
				const begins = /^(?:begin|start transaction)\b/.test(sql);
				const ends = /\b(?:commit|rollback)$/.test(sql);
				if (/^set /.test(sql) || (!ends && (begins || isOpen))) {
					isOpen ||= begins;
					return client.query(sql);
				}
				isOpen = false;
				this.#columns = null;
				const [, table, from, to] = /^alter table (\w+) (?:rename column|change) (\w+) (?:to )?(\w+)/.exec(sql) ?? [];
				const renamed = to === undefined || from === to ? null : { table: table!, from: from!, to };
				return this.commit(() => client.query(sql), renamed);
			},
		};
	}

	async #clock(): Promise<bigint> {
		const micros =
			this.#world.dialect === "mysql"
				? "cast(unix_timestamp(sysdate(6)) * 1000000 as integer)"
				: "(extract(epoch from clock_timestamp()) * 1000000)::bigint";
		const [row] = await this.#client.arrays(`select ${micros}`);
		return BigInt(row![0]!);
	}

	async #read(): Promise<ReadonlyMap<string, StateTable>> {
		this.#columns ??= await this.#world.columns(this.#client);
		const before = this.states.at(-1)?.tables;
		const tables = new Map<string, StateTable>();
		for (const [name, columns] of this.#columns) {
			const values = await this.#client.arrays(`select ${columns.join(", ")} from ${name} order by id`);
			const rows = values.map((row) => row.map(brief));
			const known = before?.get(name);
			// Most commits leave most tables as they were.
			const isSame = known?.columns === columns && JSON.stringify(known.rows) === JSON.stringify(rows);
			tables.set(name, isSame ? known : { columns, rows });
		}
		return tables;
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.#last;
		await this.#client.close();
	}
}

/** A value that is no longer than a name, or its hash. */
export function brief(value: string | null): string | null {
	return value === null || value.length <= 40 ? value : createHash("sha1").update(value).digest("hex");
}
