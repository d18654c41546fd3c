/**
 * The first reading of a table that eight clients write, killed again and again. `ROWS=2000000 KILLS=20` is the size that
 * the documentation speaks of.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { RunningServer } from "../support/server.ts";
import { freshDatabase, type TestDatabase } from "../support/shared.ts";
import { missing, startServer } from "../support/start.ts";
import { DDL, LedgerWriters } from "./ledger.ts";
import { Project } from "./project.ts";
import { Random } from "./random.ts";
import { queryWarehouse } from "./warehouse.ts";

const rows = Number(process.env["ROWS"] ?? 20_000);
const kills = Number(process.env["KILLS"] ?? 3);
const seed = Number(process.env["SEED"] ?? 1);
/** Rows that are compared at once. */
const PIECE = 100_000;

const COLUMNS = ["id", "owner", "amount"];

/** What a server of its own writes down: every statement, and whose it is. */
const STATEMENTS = {
	mariadb: {
		settings: { general_log: 1, general_log_file: "statements.log" },
		file: (server: RunningServer) => join(server.folder, "data/statements.log"),
		/** Thread, command and text of an entry; a line without them goes on with the one before. */
		of: mysqlStatements,
		begins: /start transaction with consistent snapshot/i,
		locks:
			/lock tables?\b|flush tables|for update|for share|in share mode|get_lock|lock instance|backup stage|serializable/i,
	},
	postgres18: {
		settings: { log_statement: "all", log_replication_commands: "on", log_line_prefix: "<%u> " },
		file: (server: RunningServer) => join(server.folder, "server.log"),
		of: postgresStatements,
		begins: /create_replication_slot/i,
		locks: /\block\b(?!_)|for (no key )?update|for (key )?share|advisory|serializable/i,
	},
} as const;

const READER = "reader";

function mysqlStatements(text: string): string[] {
	const readers = new Set<string>();
	const statements: string[] = [];
	let isReaders = false;
	for (const line of text.split("\n")) {
		const entry = /^(?:\d{6} +[\d:]+)?\t+ *(\d+) (\w+)(?: \w+)?\t(.*)$/.exec(line);
		if (entry === null) {
			if (isReaders) statements[statements.length - 1] += `\n${line}`;
			continue;
		}
		const [, thread, command, rest] = entry;
		if (command === "Connect") {
			if (rest!.startsWith(`${READER}@`)) readers.add(thread!);
			else readers.delete(thread!);
		}
		isReaders = readers.has(thread!);
		if (isReaders) statements.push(`${command} ${rest}`);
	}
	return statements;
}

function postgresStatements(text: string): string[] {
	return text
		.split(/^(?=<)/m)
		.filter((entry) => entry.startsWith(`<${READER}> `) && /statement|execute|replication command/.test(entry));
}

describe.each(["mariadb", "postgres18"] as const)(
	"the first reading of a table that eight clients write, %s",
	(from) => {
		test.skipIf(missing(from))(
			"is gone on with after each kill, takes no lock, and ends equal",
			async () => {
				const how = STATEMENTS[from];
				await using server = await startServer(from, { settings: how.settings });
				await using database = await freshDatabase(server, "ledger");
				const dialect = from === "mariadb" ? "mysql" : "postgres";
				await prepare(database, dialect);
				const schema = dialect === "mysql" ? database.name : "public";
				using project = new Project({
					"connections.yaml": `source: "${database.readerUrl}"\ncopy: "duckdb:copy.duckdb"\n`,
					"pipelines/ledger.yaml": `pipeline: ledger\nfrom: source\nto: copy\nretries: 0\nconcurrency: 2\ntables:\n  ${schema}.accounts: { mode: cdc }\n`,
				});
				const random = new Random(seed);
				const writers = new LedgerWriters({ database, dialect, size: rows }, random, 8, 20);
				await using _writing = { [Symbol.asyncDispose]: () => writers.stop() };
				writers.start();
				let [killed, reused] = [0, 0];
				for (; killed < kills; killed++) {
					// By the program itself, after some chunks: by the clock, a kill of a small reading would miss them all.
					const { signal, stderr, stdout } = await project.start(["run", "ledger"], {
						env: {
							HEADRACE_CHUNK_ROWS: String(Math.ceil(rows / (kills * 4))),
							HEADRACE_CRASH: `chunk-sealed#${1 + random.integer(3)}`,
						},
						plain: true,
					}).ended;
					expect(signal, `${stdout}${stderr}`).toBe("SIGKILL");
					if (/[1-9]\d* of \d+ chunks were there/.test(stderr)) reused++;
				}
				// Once more while they write: a reading that nobody ends, and the log after it.
				await project.succeed("run", "ledger");
				await writers.stop();
				await project.succeed("run", "ledger");
				await expectEqual(project, database, schema);
				expect(reused).toBeGreaterThan(0);
				expect(writers.committed).toBeGreaterThan(100);

				const statements = how.of(readFileSync(how.file(server), "utf8"));
				expect(statements.some((statement) => how.begins.test(statement))).toBe(true);
				expect(statements.filter((statement) => /\baccounts\b/.test(statement)).length).toBeGreaterThan(kills);
				expect(statements.filter((statement) => how.locks.test(statement))).toEqual([]);
				if (process.env["ROWS"] !== undefined)
					console.log(
						`${rows} rows, ${kills} kills, ${reused} readings went on, ${writers.committed} transactions meanwhile, ${statements.length} statements`,
					);
			},
			180_000 + kills * 20_000 + rows / 10,
		);
	},
);

/** The tables with their rows, and a reader that has the rights of the documentation and no others. */
async function prepare(database: TestDatabase, dialect: "mysql" | "postgres"): Promise<void> {
	await database.query(DDL(dialect));
	const series = dialect === "mysql" ? `from seq_1_to_${rows}` : `from generate_series(1, ${rows}) as s(seq)`;
	await database.query(`insert into accounts select seq, 'owner', 100, null ${series}`);
	await database.query(`insert into people select seq, 'person' ${series.replace(String(rows), "1000")}`);
	if (dialect === "mysql") {
		await database.query("analyze table accounts");
		await database.query(`grant process, replication slave, binlog monitor on *.* to ${READER}@'127.0.0.1'`);
	} else {
		await database.query("analyze accounts");
		await database.query(
			`alter role ${READER} replication; create publication ledger for table accounts with (publish_via_partition_root = true)`,
		);
	}
}

async function expectEqual(project: Project, database: TestDatabase, schema: string): Promise<void> {
	const text = (rows: readonly Record<string, unknown>[]) =>
		rows.map((row) => COLUMNS.map((column) => String(row[column])).join("|"));
	const list = COLUMNS.join(", ");
	for (let start = 0; start <= rows; start += PIECE) {
		const where = `id > ${start} and id <= ${start + PIECE} order by id`;
		const copied = await queryWarehouse(
			project.path("copy.duckdb"),
			`select ${list} from "${schema}".accounts where ${where}`,
		);
		expect(text(copied)).toEqual(text(await database.query(`select ${list} from accounts where ${where}`)));
	}
	const [count] = await queryWarehouse(
		project.path("copy.duckdb"),
		`select count(*) as count from "${schema}".accounts`,
	);
	expect(String(count!["count"])).toBe(String(rows));
}
