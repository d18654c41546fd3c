/** The rows of PostgreSQL's change log: into batches by Headrace, as bytes by pg_recvlogical, from equal slots. */
import { existsSync } from "node:fs";
import { createPostgresSource } from "../../src/connectors/postgres/index.ts";
import { slotName } from "../../src/connectors/postgres/wal/slot.ts";
import { DEFAULT_TYPE_POLICY, Secret } from "../../src/core/index.ts";
import type { TestServer } from "../../test/support/server.ts";
import { alternate, type Contestant, type Measurement, type Result } from "./measure.ts";
import { repository } from "./routes.ts";
import { DATABASE } from "./tables.ts";

/** Debian's clients speak to servers of any version. */
const RECVLOGICAL = ["/usr/lib/postgresql/15/bin/pg_recvlogical", "/usr/bin/pg_recvlogical"].find(existsSync);
const TABLE = "logged";
const READER = "benchmark";

export interface WalRace {
	readonly name: string;
	readonly rows: number;
	readonly results: Result[];
	readonly absent: readonly { readonly name: string; readonly reason: string }[];
}

/** `rows` of the benchmark's table, inserted by one statement; each contestant reads them all, nothing is acknowledged. */
export async function raceWal(
	server: TestServer,
	rows: number,
	repeat: number,
	onRun: (line: string) => void,
): Promise<WalRace[]> {
	const { host, port, user, password } = server;
	await server.query(DATABASE, `drop table if exists ${TABLE}; create table ${TABLE} (like lineitem including all)`);
	await server.query(DATABASE, `alter table ${TABLE} replica identity full`);
	await using source = await createPostgresSource({
		host,
		port,
		user,
		password: new Secret(password),
		database: DATABASE,
	});
	const log = source.changeLog!;
	const tables = await source.describe([{ table: { schema: "public", name: TABLE }, types: DEFAULT_TYPE_POLICY }]);
	const cut = await log.begin!({ reader: READER, tables });
	await cut[Symbol.asyncDispose]();
	const slot = slotName(READER, DATABASE);
	await server.query(DATABASE, `insert into ${TABLE} select * from lineitem limit ${rows}`);
	const until = await log.end();
	const request = {
		host,
		port,
		user,
		password,
		database: DATABASE,
		table: TABLE,
		rows,
		reader: READER,
		from: cut.position,
		until,
	};
	const contestant = (name: string, script: string, about: object): Contestant => ({
		name,
		command: { command: process.execPath, args: [`${repository}/scripts/benchmark/${script}`, JSON.stringify(about)] },
		examine: async ({ stdout }: Measurement) => {
			const { seconds } = JSON.parse(stdout) as { seconds: number };
			return `${Math.round(rows / seconds).toLocaleString("en")} rows/s after the login`;
		},
	});
	const login = { host, port, user, password, database: DATABASE };
	const copied = { ...login, slot, copy: `${slot}_copy`, program: RECVLOGICAL, end: log.format(until) };
	const contestants = [
		contestant("headrace", "wal-headrace.ts", request),
		...(RECVLOGICAL === undefined ? [] : [contestant("pg_recvlogical", "peers/recvlogical.ts", copied)]),
	];
	const absent = RECVLOGICAL === undefined ? [{ name: "pg_recvlogical", reason: "it is not installed" }] : [];
	const results = await alternate(contestants, repeat, onRun);
	await log.forget!(READER);
	return [{ name: "Change log of PostgreSQL", rows, results, absent }];
}
