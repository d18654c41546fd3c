/**
 * The benchmark's table: 16 columns of mixed types, about 157 bytes of text a row, NULLs and awkward strings included.
 * DuckDB makes it from hashes of the row number: the same rows on every machine with the same DuckDB. What it makes is
 * the truth that every copy is compared with.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { TestServer } from "../../test/support/server.ts";
import { openDuckdb } from "./duckdb.ts";

export const DATABASE = "bench";
export const CHANGED_ROWS = 50_000;

export interface Generated {
	readonly rows: number;
	/** A DuckDB file with table `lineitem`. */
	readonly reference: string;
	/** Tab-separated text with backslash escapes, which LOAD DATA and COPY both read as it is. */
	readonly tsv: string;
}

const WORDS =
	"furiously quickly carefully slyly blithely ironic final express regular bold pending silent deposits requests accounts packages theodolites foxes instructions pinto beans asymptotes dependencies sleep nag haggle wake cajole among above";

/** Comments that break careless code, one row in a hundred each. */
const AWKWARD = [
	"''",
	"'\\N'",
	"'NULL'",
	"'O''Brien said \"no\"'",
	"E'tab\\there'",
	"E'cr\\r\\nlf'",
	"'😀 naïve Ωmega'",
	"'back\\slash, comma; `tick`'",
	"' spaces around '",
];

/** Rows `from` (included) to `to` (excluded), changed last at `modified` (SQL over l_id). */
function rowsSql(from: number, to: number, modified: string): string {
	const dice = (side: number) => `hash(range * 16 + ${side})`;
	const cents = (side: string, span: number) =>
		`(cast(${side} % ${span} as bigint)::decimal(15,2) * 0.01)::decimal(15,2)`;
	const day = (side: string) => `date '1992-01-02' + cast(${side} % 2526 as integer)`;
	const pick = (side: string, values: readonly string[]) =>
		`([${values.map((value) => `'${value}'`).join(", ")}])[cast(${side} % ${values.length} as integer) + 1]`;
	const words = WORDS.split(" ");
	const comment = [0, 8, 16, 24, 32].map((shift) => pick(`(f >> ${shift})`, words)).join(", ");
	return `
		with dice as (
			select range as l_id, ${dice(1)} as a, ${dice(2)} as b, ${dice(3)} as c, ${dice(4)} as d, ${dice(5)} as e, ${dice(6)} as f
			from range(${from}, ${to})
		)
		select l_id::bigint as l_id,
			cast(l_id // 4 + 1 as integer) as l_orderkey,
			case when a % 97 = 0 then null else cast(a % 100000 as integer) end as l_suppkey,
			${cents("b", 5001)} as l_quantity,
			case when c % 1009 = 0 then 9999999999999.99 when c % 1013 = 0 then -9999999999999.99
				else ${cents("c", 10_494_951)} end::decimal(15,2) as l_extendedprice,
			case when a % 89 = 0 then null else ${cents("(a >> 8)", 11)} end as l_discount,
			${cents("(a >> 16)", 9)} as l_tax,
			${pick("(a >> 24)", ["A", "N", "R"])} as l_returnflag,
			${pick("(a >> 32)", ["F", "O"])} as l_linestatus,
			case when d % 1021 = 0 then date '9999-12-31' when d % 1031 = 0 then date '1000-01-01' else ${day("d")} end as l_shipdate,
			case when d % 83 = 0 then null else ${day("(d >> 16)")} end as l_commitdate,
			${day("(d >> 32)")} as l_receiptdate,
			case when e % 79 = 0 then null
				else ${pick("e", ["DELIVER IN PERSON", "COLLECT COD", "NONE", "TAKE BACK RETURN"])} end as l_shipinstruct,
			${pick("(e >> 16)", ["REG AIR", "AIR", "RAIL", "SHIP", "TRUCK", "MAIL", "FOB"])} as l_shipmode,
			case e % 100 ${AWKWARD.map((text, index) => `when ${index} then ${text}`).join(" ")} when 99 then null
				else left(concat_ws(' ', ${comment}), 60) end as l_comment,
			${modified} as l_modified
		from dice`;
}

const firstModified = "timestamp '2020-01-01' + to_microseconds(l_id * 1000003)";
/** The cursor's value of the rows that a round changes or adds: later than all before. */
const roundModified = (round: number) => `timestamp '2021-01-01' + to_days(${round}) + to_microseconds(l_id)`;

/** Columns with their types in DuckDB. */
export const COLUMN_TYPES: Readonly<Record<string, string>> = {
	l_id: "BIGINT",
	l_orderkey: "INTEGER",
	l_suppkey: "INTEGER",
	l_quantity: "DECIMAL(15,2)",
	l_extendedprice: "DECIMAL(15,2)",
	l_discount: "DECIMAL(15,2)",
	l_tax: "DECIMAL(15,2)",
	l_returnflag: "VARCHAR",
	l_linestatus: "VARCHAR",
	l_shipdate: "DATE",
	l_commitdate: "DATE",
	l_receiptdate: "DATE",
	l_shipinstruct: "VARCHAR",
	l_shipmode: "VARCHAR",
	l_comment: "VARCHAR",
	l_modified: "TIMESTAMP",
};
const COLUMNS = Object.keys(COLUMN_TYPES);

function toTsv(query: string, path: string): string {
	const escaped = (column: string) =>
		`coalesce(replace(replace(replace(replace(${column}::varchar, '\\', '\\\\'), chr(9), '\\t'), chr(10), '\\n'), chr(13), '\\r'), '\\N')`;
	const texts = new Set(["l_comment"]);
	const fields = COLUMNS.map((column) => (texts.has(column) ? escaped(column) : `coalesce(${column}::varchar, '\\N')`));
	// One column that never holds the separators, so DuckDB's CSV writer leaves every line as it is.
	return `copy (select concat_ws(chr(9), ${fields.join(", ")}) from (${query}) order by l_id)
		to '${path}' (format csv, header false, delimiter E'\\x01', quote E'\\x02', escape E'\\x02')`;
}

/** Makes the rows once, as a DuckDB file and as text. About 5 s for 2 million. */
export async function generate(folder: string, rows: number): Promise<Generated> {
	const reference = join(folder, "reference.duckdb");
	const tsv = join(folder, "lineitem.tsv");
	await using duckdb = await openDuckdb(reference);
	await duckdb.run(`create table lineitem as ${rowsSql(0, rows, firstModified)}`);
	await duckdb.run(toTsv("from lineitem", tsv));
	await duckdb.run("checkpoint");
	return { rows, reference, tsv };
}

const MYSQL_TABLE = `create table lineitem (
	l_id bigint not null primary key, l_orderkey int not null, l_suppkey int,
	l_quantity decimal(15,2) not null, l_extendedprice decimal(15,2) not null, l_discount decimal(15,2), l_tax decimal(15,2) not null,
	l_returnflag char(1) not null, l_linestatus varchar(1) not null,
	l_shipdate date not null, l_commitdate date, l_receiptdate date not null,
	l_shipinstruct varchar(25), l_shipmode varchar(10) not null, l_comment varchar(60), l_modified datetime(6) not null
) engine=innodb default charset=utf8mb4`;
export const POSTGRES_TABLE = MYSQL_TABLE.replace("datetime(6)", "timestamp(6)").replace(/ engine=.*/, "");

/** Creates database, table and a reading account `bench` (password `bench`), and fills the table. */
export async function load(server: TestServer, generated: Generated): Promise<void> {
	await server.createDatabase(DATABASE);
	if (server.kind === "postgres") {
		await server.admin("create role bench login password 'bench'; grant pg_read_all_data to bench");
		// In one transaction with the table's creation COPY may skip the log; frozen rows need no second visit.
		await server.query(
			DATABASE,
			`${POSTGRES_TABLE}; copy lineitem from '${generated.tsv}' (freeze); create index on lineitem (l_modified)`,
		);
		await server.query(DATABASE, "vacuum (analyze) lineitem");
	} else {
		await server.admin("create user bench@'127.0.0.1' identified by 'bench'; grant select on *.* to bench@'127.0.0.1'");
		await server.query(
			DATABASE,
			`set sql_log_bin = 0, unique_checks = 0, foreign_key_checks = 0; ${MYSQL_TABLE};
			 load data infile '${generated.tsv}' into table lineitem character set utf8mb4;
			 alter table lineitem add index (l_modified); analyze table lineitem`,
		);
	}
	const [row] = await server.query(DATABASE, "select count(*) as n from lineitem");
	if (row?.["n"] !== `${generated.rows}`)
		throw new Error(`${server.name} took ${row?.["n"]} of ${generated.rows} rows`);
}

/** The rows as a Parquet file, made by DuckDB. */
export async function writeParquet({ reference }: Generated, file: string): Promise<void> {
	await using duckdb = await openDuckdb(reference);
	await duckdb.run(`copy (from lineitem order by l_id) to '${file}' (format parquet, compression zstd)`);
}

/** Reads the whole table once, so that the first contestant does not pay for a cold cache. */
export async function warm(server: TestServer): Promise<void> {
	await server.query(DATABASE, "select sum(l_quantity), max(length(l_comment)) from lineitem");
}

/** Changes 50k rows and adds 50k, in MariaDB and in the reference alike. Rounds count from 0. */
export async function change(server: TestServer, generated: Generated, round: number, folder: string): Promise<void> {
	const { rows, reference } = generated;
	const share = Math.max(1, Math.floor(rows / CHANGED_ROWS));
	const first = rows + round * CHANGED_ROWS;
	const added = rowsSql(first, first + CHANGED_ROWS, roundModified(round));
	const tsv = join(folder, `round-${round}.tsv`);
	const where = `l_id % ${share} = ${round % share} and l_id < ${rows}`;
	await using duckdb = await openDuckdb(reference);
	await duckdb.run(toTsv(added, tsv));
	await duckdb.run(
		`update lineitem set l_tax = l_tax + 1, l_comment = 'round ${round}', l_modified = ${roundModified(round)} where ${where}`,
	);
	await duckdb.run(`insert into lineitem ${added}`);
	await server.query(
		DATABASE,
		`update lineitem set l_tax = l_tax + 1, l_comment = 'round ${round}',
			l_modified = timestamp '2021-01-01 00:00:00' + interval ${round} day + interval l_id microsecond where ${where};
		 load data infile '${tsv}' into table lineitem character set utf8mb4`,
	);
	rmSync(tsv);
}

export const WIDE_ROWS = 400;

/** A table of rows of 1 MB each: what a tool holds in memory must not grow with it. */
export async function loadWide(server: TestServer): Promise<void> {
	await server.query(
		DATABASE,
		`create table wide (id bigint not null primary key, payload longtext not null);
		 insert into wide select seq, repeat(md5(seq), 32768) from seq_1_to_${WIDE_ROWS}`,
	);
}

export interface Comparison {
	/** Rows of the reference that the copy lacks, and rows of the copy that the reference lacks; duplicates count. */
	readonly missing: number;
	readonly surplus: number;
	/** Columns whose type in the copy is another than in the reference. */
	readonly types: readonly string[];
}

/** Compares a copy with the reference, EXCEPT ALL both ways. `relation` is SQL that DuckDB can select from. */
export async function compare(
	reference: string,
	copy: { readonly attach?: string; readonly relation: string },
): Promise<Comparison> {
	await using duckdb = await openDuckdb(":memory:", { memory_limit: "6GB" });
	await duckdb.run(`attach '${reference}' as reference (read_only)`);
	if (copy.attach !== undefined) await duckdb.run(`attach '${copy.attach}' as copied (read_only)`);
	const count = async (sql: string) => Number((await duckdb.rows(`select count(*) as n from (${sql})`))[0]!["n"]);
	const columns = COLUMNS.join(", ");
	const theirs = `select ${columns} from ${copy.relation}`;
	const ours = `select ${columns} from reference.lineitem`;
	const typesOf = async (sql: string) =>
		(await duckdb.rows(`select column_name, column_type from (describe ${sql})`)).map(
			(row) => `${row["column_name"]} ${row["column_type"]}`,
		);
	const expected = await typesOf(ours);
	return {
		missing: await count(`${ours} except all ${theirs}`),
		surplus: await count(`${theirs} except all ${ours}`),
		types: (await typesOf(theirs)).filter((type) => !expected.includes(type)),
	};
}
