/** From a commit at the source to the moment when a reader of the copy sees it, and what a follower costs that has nothing to do. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openClient } from "../../test/support/client.ts";
import { undoAtEnd } from "../../test/support/processes.ts";
import type { TestServer } from "../../test/support/server.ts";
import { type Result, usageOf } from "./measure.ts";
import { TARGET_DATABASE, targetUrl } from "./postgres-target.ts";
import { headraceCommand } from "./routes.ts";
import { DATABASE } from "./tables.ts";

const TABLE = "ticks";
/** 1,000 changes a second. */
const TRANSACTIONS_PER_SECOND = 100;
const ROWS_PER_TRANSACTION = 10;
const WRITE_SECONDS = 30;
const IDLE_SECONDS = 20;

/** Writes at a steady rate into `server`, follows it into PostgreSQL with `flush: 1s`, and looks at the copy all the time. */
export async function raceLatency(server: TestServer, into: TestServer, folder: string): Promise<Result[]> {
	const isPostgres = server.kind === "postgres";
	const schema = isPostgres ? "public" : DATABASE;
	await server.query(
		DATABASE,
		`drop table if exists ${TABLE}; create table ${TABLE} (id bigint primary key, note varchar(40))`,
	);
	const project = join(folder, "latency");
	rmSync(project, { recursive: true, force: true });
	mkdirSync(join(project, "pipelines"), { recursive: true });
	const { host, port, user, password } = server;
	const scheme = isPostgres ? "postgres" : "mysql";
	writeFileSync(
		join(project, "connections.yaml"),
		`source: ${scheme}://${user}:${encodeURIComponent(password)}@${host}:${port}/${DATABASE}\ncopy: ${targetUrl(into)}\n`,
	);
	writeFileSync(
		join(project, "pipelines/ticks.yaml"),
		`pipeline: ticks\nfrom: source\nto: copy\nflush: { seconds: 1 }\ntables:\n  ${schema}.${TABLE}: { mode: cdc, into: ticks.${TABLE} }\n`,
	);
	const { command, args, cwd, env } = headraceCommand(["run", "ticks", "--follow"], project);
	const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: "ignore" });
	const forget = undoAtEnd(() => child.kill("SIGKILL"));
	try {
		return await watch(server, into, child);
	} finally {
		child.kill("SIGTERM");
		await new Promise((resolve) => child.once("close", resolve));
		forget();
	}
}

async function watch(server: TestServer, into: TestServer, child: ChildProcess): Promise<Result[]> {
	await using reader = await openClient(into, TARGET_DATABASE);
	await using source = await openClient(server, DATABASE);
	const seen = async (): Promise<number> => {
		const [row] = await reader.query(`select coalesce(max(id), 0) as id from ticks.${TABLE}`).catch(() => []);
		return Number(row?.["id"] ?? -1);
	};
	while ((await seen()) < 0) await sleep(100);
	const committed: { readonly id: number; readonly at: number }[] = [];
	const latencies: number[] = [];
	let isWriting = true;
	const writer = async () => {
		const begun = performance.now();
		for (let count = 0; count < WRITE_SECONDS * TRANSACTIONS_PER_SECOND; count++) {
			const first = count * ROWS_PER_TRANSACTION + 1;
			const rows = Array.from({ length: ROWS_PER_TRANSACTION }, (_, index) => `(${first + index}, 'tick')`);
			await source.query(`insert into ${TABLE} values ${rows.join(", ")}`);
			committed.push({ id: first + ROWS_PER_TRANSACTION - 1, at: performance.now() });
			const due = begun + ((count + 1) * 1000) / TRANSACTIONS_PER_SECOND;
			if (due > performance.now()) await sleep(due - performance.now());
		}
		isWriting = false;
		return (performance.now() - begun) / 1000;
	};
	const looker = async () => {
		while (isWriting || committed.length > 0) {
			const id = await seen();
			const now = performance.now();
			while (committed.length > 0 && committed[0]!.id <= id) latencies.push(now - committed.shift()!.at);
			await sleep(10);
		}
	};
	const [seconds] = await Promise.all([writer(), looker()]);
	const busy = usageOf(child.pid!);
	await sleep(3_000);
	const before = usageOf(child.pid!);
	await sleep(IDLE_SECONDS * 1000);
	const after = usageOf(child.pid!);
	latencies.sort((a, b) => a - b);
	const at = (share: number) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))]! / 1000;
	const changes = Math.round((latencies.length * ROWS_PER_TRANSACTION) / seconds);
	const plain = { runs: 1, cpuSeconds: 0, rssMegabytes: busy.rssMegabytes };
	const idleCpu = ((after.cpuSeconds - before.cpuSeconds) / IDLE_SECONDS) * 100;
	return [
		{ ...plain, name: "commit to visible, median", wallSeconds: at(0.5), note: `${changes} changes/s` },
		{ ...plain, name: "commit to visible, p99", wallSeconds: at(0.99), note: `${changes} changes/s` },
		{
			name: "idle follower",
			runs: 1,
			wallSeconds: IDLE_SECONDS,
			cpuSeconds: after.cpuSeconds - before.cpuSeconds,
			rssMegabytes: after.rssMegabytes,
			note: `${idleCpu.toFixed(1)} % of a core`,
		},
	];
}
