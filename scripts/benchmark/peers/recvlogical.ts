/** pg_recvlogical from a copy of a slot, since it confirms what it has read: one contestant of `wal.ts`. */
import { spawn } from "node:child_process";
import pg from "pg";

const { host, port, user, password, database, slot, copy, program, end } = JSON.parse(process.argv[2]!) as {
	host: string;
	port: number;
	user: string;
	password: string;
	database: string;
	slot: string;
	copy: string;
	program: string;
	end: string;
};
const client = new pg.Client({ host, port, user, password, database });
await client.connect();
await client.query("SELECT pg_copy_logical_replication_slot($1, $2)", [slot, copy]);
const begun = performance.now();
const child = spawn(
	program,
	[
		...[
			"-h",
			host,
			"-p",
			`${port}`,
			"-U",
			user,
			"-d",
			database,
			"--slot",
			copy,
			"--start",
			"--no-loop",
			"--endpos",
			end,
		],
		...["-o", "proto_version=2", "-o", "streaming=on", "-o", `publication_names=${slot}`, "-f", "-"],
	],
	{ env: { ...process.env, PGPASSWORD: password }, stdio: ["ignore", "pipe", "inherit"] },
);
let bytes = 0;
child.stdout.on("data", (piece: Buffer) => {
	bytes += piece.length;
});
const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
const seconds = (performance.now() - begun) / 1000;
await client.query("SELECT pg_drop_replication_slot($1)", [copy]);
await client.end();
if (code !== 0 || bytes === 0) throw new Error(`pg_recvlogical ended with ${code} after ${bytes} bytes`);
process.stdout.write(JSON.stringify({ seconds }));
