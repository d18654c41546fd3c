/** The rows of a change log decoded: into batches by Headrace, into objects by @vlasky/zongji, from one log. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { TestServer } from "../../test/support/server.ts";
import { alternate, type Command, type Contestant, type Measurement, type Result } from "./measure.ts";
import { repository } from "./routes.ts";
import { DATABASE } from "./tables.ts";

const ZONGJI = "@vlasky/zongji";
/** A folder whose node_modules has the package: `npm i @vlasky/zongji@0.9.0` in it. */
const ZONGJI_VARIABLE = "HEADRACE_BENCH_ZONGJI";

/** Two logs of the same rows: by one statement, many rows an event; and by one statement a row, in one transaction. */
const LOGS = [
	{ name: "Change log, many rows an event", table: "logged" },
	{ name: "Change log, one row an event", table: "logged_single" },
] as const;

export interface LogRace {
	readonly name: string;
	readonly rows: number;
	readonly results: Result[];
	readonly absent: readonly { readonly name: string; readonly reason: string }[];
}

/** The server's events of rows end at `binlog_row_event_max_size`, which some servers fix at their start. */
async function writeLog(server: TestServer, table: string, rows: number): Promise<{ file: string; offset: number }> {
	await server.query(DATABASE, `drop table if exists ${table}; create table ${table} like lineitem; flush binary logs`);
	const [status] = await server.admin("show master status");
	if (table === "logged") await server.query(DATABASE, `insert into ${table} select * from lineitem limit ${rows}`);
	else
		await server.query(
			DATABASE,
			`begin not atomic
				declare n bigint default 0;
				start transaction;
				while n < ${rows} do
					insert into ${table} select * from lineitem where l_id = n;
					set n = n + 1;
				end while;
				commit;
			end`,
		);
	return { file: status!["File"]!, offset: Number(status!["Position"]) };
}

/** `rows` of the benchmark's table, written to the log anew; each contestant reads them from the log's begin. */
export async function raceBinlog(
	server: TestServer,
	rows: number,
	repeat: number,
	onRun: (line: string) => void,
): Promise<LogRace[]> {
	const races: LogRace[] = [];
	const folder = process.env[ZONGJI_VARIABLE];
	const found = folder !== undefined && existsSync(join(folder, "node_modules", ZONGJI));
	for (const { name, table } of LOGS) {
		const logged = table === "logged" ? rows : Math.min(rows, 200_000);
		const from = await writeLog(server, table, logged);
		const { host, port, user, password } = server;
		const request = JSON.stringify({ host, port, user, password, database: DATABASE, table, rows: logged, ...from });
		const contestant = (who: string, script: string, env: Record<string, string> = {}): Contestant => ({
			name: who,
			command: { command: process.execPath, args: [join(repository, script), request], env } satisfies Command,
			examine: async ({ stdout }: Measurement) => {
				const { seconds } = JSON.parse(stdout) as { seconds: number };
				return `${Math.round(logged / seconds).toLocaleString("en")} rows/s after the login`;
			},
		});
		const contestants = [
			contestant("headrace", "scripts/benchmark/binlog-headrace.ts"),
			...(found ? [contestant(ZONGJI, "scripts/benchmark/peers/zongji.mjs", { [ZONGJI_VARIABLE]: folder })] : []),
		];
		const absent = found ? [] : [{ name: ZONGJI, reason: `${ZONGJI_VARIABLE} names no folder that has it` }];
		races.push({ name, rows: logged, results: await alternate(contestants, repeat, onRun), absent });
	}
	return races;
}
