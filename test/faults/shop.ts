/** One small shop on MySQL or PostgreSQL: the same tables, changes and rows as text, whatever the dialect. */
import type { ServerName } from "../support/server.ts";
import { freshDatabase, sharedServer, type TestDatabase } from "../support/shared.ts";
import { quoteBacktick, quoteDouble } from "./names.ts";
import { until } from "./project.ts";

export type Dialect = "mysql" | "postgres";

const COLUMNS = {
	/** Read whole each time. */
	accounts: ["id", "owner", "amount"],
	/** By cursor, merged by key; `deleted` is the flag. */
	orders: ["id", "note", "amount", "modified", "deleted"],
	/** By an integer cursor, appended: it has no key. */
	journal: ["seq", "note"],
	/** By interval. */
	visits: ["id", "page", "at"],
} as const;
export type ShopTable = keyof typeof COLUMNS;
export const SHOP_NAMES = Object.keys(COLUMNS) as ShopTable[];

const DDL: Record<Dialect, string> = {
	mysql: `
		create table accounts (id bigint primary key, owner varchar(60) not null, amount bigint not null);
		create table orders (id bigint primary key, note varchar(60), amount decimal(12,2) not null,
			modified datetime(6) not null, deleted tinyint not null default 0, key (modified));
		create table journal (seq bigint not null auto_increment, note varchar(60), key (seq));
		create table visits (id bigint primary key, page varchar(60) not null, at datetime(6) not null);`,
	postgres: `
		create table accounts (id bigint primary key, owner text not null, amount bigint not null);
		create table orders (id bigint primary key, note text, amount numeric(12,2) not null,
			modified timestamp not null, deleted smallint not null default 0);
		create index on orders (modified);
		create table journal (seq bigserial not null, note text);
		create table visits (id bigint primary key, page text not null, at timestamp not null);`,
};

/** The four tables with their modes; `visits` lie in the first days of 2026. */
export const SHOP_TABLES = (schema: string): string => `
  ${schema}.accounts: { mode: full }
  ${schema}.orders:   { mode: incremental, cursor: modified }
  ${schema}.journal:  { mode: incremental, cursor: seq, write: append }
  ${schema}.visits:   { mode: interval, cursor: at }
`;

export class Shop implements AsyncDisposable {
	readonly database: TestDatabase;
	readonly dialect: Dialect;
	/** Of the tables: `public`, or the database's name where that is what holds tables. */
	readonly schema: string;

	private constructor(database: TestDatabase, dialect: Dialect) {
		this.database = database;
		this.dialect = dialect;
		this.schema = dialect === "mysql" ? database.name : "public";
	}

	/** A shop without rows. */
	static async open(server: ServerName): Promise<Shop> {
		const shop = await Shop.bare(server);
		await shop.sql(DDL[shop.dialect]);
		return shop;
	}

	/** A database without tables. */
	static async bare(server: ServerName): Promise<Shop> {
		const database = await freshDatabase(await sharedServer(server), "shop");
		return new Shop(database, server.startsWith("postgres") ? "postgres" : "mysql");
	}

	get url(): string {
		return this.database.url;
	}

	sql(sql: string) {
		return this.database.query(sql);
	}

	/** Text of the server's clock, shifted: for a `modified` of now. */
	get now(): string {
		return this.dialect === "mysql" ? "now(6)" : "clock_timestamp()::timestamp";
	}

	/** `count` rows into each table; `orders` are stamped with the past, `visits` spread over the first four days of 2026. */
	async fill(count: number): Promise<void> {
		const series = this.dialect === "mysql" ? `from seq_1_to_${count}` : `from generate_series(1, ${count}) as s(seq)`;
		const text = (prefix: string) => (this.dialect === "mysql" ? `concat('${prefix}', seq)` : `'${prefix}' || seq`);
		const later = (start: string, unitMs: number) =>
			this.dialect === "mysql"
				? `timestampadd(microsecond, seq * ${unitMs * 1000}, '${start}')`
				: `timestamp '${start}' + seq * interval '${unitMs} milliseconds'`;
		const spreadMs = Math.floor((4 * 86_400_000) / (count + 1));
		await this.sql(`
			insert into accounts select seq, ${text("owner ")}, 100 ${series};
			insert into orders select seq, ${text("note ")}, seq * 0.25, ${later("2026-01-01", 1000)}, 0 ${series};
			insert into journal (note) select ${text("line ")} ${series};
			insert into visits select seq, ${text("/page/")}, ${later("2026-01-01", spreadMs)} ${series}`);
	}

	/** Inserts and updates in every table; `round` makes the values new. `orders` grow by 3 rows, `journal` by 3. */
	async change(round: number): Promise<void> {
		await this.sql(this.changeSql(round));
	}

	changeSql(round: number): string {
		const first = 1_000_000 + round * 10;
		return `
			update accounts set amount = amount - 7 where id = ${1 + (round % 50)};
			update accounts set amount = amount + 7 where id = ${51 + (round % 50)};
			insert into orders values (${first}, 'new ${round}', 1.5, ${this.now}, 0),
				(${first + 1}, null, 2.5, ${this.now}, 0), (${first + 2}, 'third', 3.5, ${this.now}, 0);
			update orders set note = 'changed ${round}', modified = ${this.now} where id between ${1 + (round % 90)} and ${4 + (round % 90)};
			insert into journal (note) values ('round ${round}'), ('round ${round}'), (null);
			update visits set page = '/changed/${round}' where id between ${1 + (round % 90)} and ${3 + (round % 90)};
			insert into visits values (${first}, '/new/${round}', '2026-01-02 12:00:00');`;
	}

	/**
	 * Waits until a cut can prove that what is written now stays as it is: PostgreSQL tells it by ids once every transaction
	 * that is open now, in any database, has ended, MariaDB by stamps of whole seconds.
	 */
	async settled(): Promise<void> {
		const [row] =
			this.dialect === "postgres"
				? await this.sql("select txid_current() as since")
				: await this.sql("select unix_timestamp(now()) + 1 as since");
		const past =
			this.dialect === "postgres"
				? `select txid_snapshot_xmin(txid_current_snapshot()) > ${row!["since"]} as yes`
				: `select unix_timestamp(now()) > ${row!["since"]} as yes`;
		await until(
			async () => ["t", "1"].includes((await this.sql(past))[0]!["yes"]!),
			"older transactions have ended",
			60_000,
		);
	}

	/** All rows as sorted lines, as `readWarehouse` gives them. */
	async lines(table: ShopTable, where = "true"): Promise<string[]> {
		return this.linesOf(table, COLUMNS[table], where);
	}

	async linesOf(table: string, columns: readonly string[], where = "true"): Promise<string[]> {
		const mysql = this.dialect === "mysql";
		const list = columns.map((column) => {
			const name = mysql ? quoteBacktick(column) : quoteDouble(column);
			return `coalesce(${mysql ? `cast(${name} as char)` : `${name}::text`}, '\u2205')`;
		});
		const rows = await this.sql(
			`select concat_ws('|', ${list.join(", ")}) as line from ${mysql ? quoteBacktick(table) : quoteDouble(table)} where ${where}`,
		);
		// MySQL prints all six decimals of a time, the others as many as it has.
		const trimmed = (line: string) =>
			line.replace(/(\d\d:\d\d:\d\d)(\.\d*?)0+(?=\||$)/g, (_all, time: string, rest: string) =>
				rest === "." ? time : time + rest,
			);
		return rows.map((row) => (mysql ? trimmed(row["line"]!) : row["line"]!)).sort();
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.database.drop();
	}
}
