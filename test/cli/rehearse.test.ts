import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { Project } from "../faults/project.ts";
import { freshDatabase, sharedServer, type TestDatabase } from "../support/shared.ts";
import { missing } from "../support/start.ts";

const BIN = join(import.meta.dirname, "../../bin/headrace.js");
const BUILT = join(import.meta.dirname, "../../dist/cli/main.js");
const STAND_INS = join(import.meta.dirname, "../../dist/stand-ins/index.js");

/** Loaded before the program: writes down the host of each connection that it opens. */
const WATCHER = `
import { appendFileSync } from "node:fs";
import { Socket } from "node:net";
const { connect } = Socket.prototype;
Socket.prototype.connect = function (...words) {
	const [first] = Array.isArray(words[0]) ? words[0] : words;
	const host = typeof first === "object" ? (first.path ?? first.host ?? "localhost") : (words[1] ?? "localhost");
	appendFileSync(process.env.CONNECTIONS_LOG, host + "\\n");
	return connect.apply(this, words);
};
`;

const PIPELINE = (database: string, more = "") => `from: prod
to: warehouse
${more}retries: 0
tables:
  ${database}.orders: { into: raw.orders, mode: incremental, cursor: modified }
  ${database}.customers: { into: raw.customers }
`;

interface Report {
	readonly stand_ins: readonly string[];
	readonly left_out: readonly string[];
	readonly runs: readonly { readonly state: string; readonly tables: readonly { readonly rows_loaded: number }[] }[];
	readonly sql?: readonly string[];
	readonly objects: readonly { readonly address: string; readonly bytes: number | null }[];
	readonly glue: readonly string[];
	readonly tables: readonly { readonly table: string; readonly rows: string | null }[];
}

interface Rehearsed {
	readonly code: number | null;
	readonly stdout: string;
	readonly stderr: string;
	readonly hosts: ReadonlySet<string>;
	/** Temporary folders that were left. */
	readonly left: readonly string[];
}

describe.skipIf(missing("mariadb") ?? missing("postgres18"))("a rehearsal of a pipeline that reads MariaDB", () => {
	let source: TestDatabase;
	let project: Project;

	beforeAll(async () => {
		source = await freshDatabase(await sharedServer("mariadb"), "shop");
		await source.query(`
			create table orders (id bigint primary key, amount decimal(10,2), day date, modified datetime(6) not null);
			create table customers (id bigint unsigned primary key, name varchar(60));
			insert into orders select seq, seq / 7, date('2026-01-01') + interval (seq % 3) day, timestamp('2026-01-01') + interval seq second from seq_1_to_3000;
			insert into customers values (18446744073709551615, 'Ann''s "shop"'), (2, 'Бob')`);
	});
	afterAll(() => source[Symbol.asyncDispose]());
	beforeEach(() => {
		project = new Project({ "watch.mjs": WATCHER });
		onTestFinished(() => project[Symbol.dispose]());
	});

	function write(connections: string, more?: string): void {
		project.write("connections.yaml", `prod: ${source.readerUrl}\n${connections}`);
		project.write("pipelines/shop.yaml", PIPELINE(source.name, more));
	}

	async function rehearse(words: readonly string[], built = false): Promise<Rehearsed> {
		const log = project.path("connections.log");
		project.write("connections.log", "");
		// A folder of its own, so that what is left in it shows; not below the project, whose owner alone may open it.
		const temporary = mkdtempSync(join(tmpdir(), "rehearse-"));
		chmodSync(temporary, 0o755);
		onTestFinished(() => rmSync(temporary, { recursive: true, force: true }));
		const entry = built
			? [
					"--input-type=module",
					"-e",
					`(await import(${JSON.stringify(pathToFileURL(BUILT).href)})).main(process.argv.slice(1))`,
					"--",
				]
			: [BIN];
		const child = spawn(
			process.execPath,
			["--import", project.path("watch.mjs"), ...entry, "-C", project.folder, "rehearse", "shop", ...words],
			{
				cwd: project.folder,
				stdio: ["ignore", "pipe", "pipe"],
				env: {
					PATH: process.env["PATH"],
					HOME: project.folder,
					NO_COLOR: "1",
					CONNECTIONS_LOG: log,
					TMPDIR: temporary,
					...(built ? {} : { HEADRACE_SOURCES: "1" }),
				},
			},
		);
		let [stdout, stderr] = ["", ""];
		child.stdout.setEncoding("utf8").on("data", (text: string) => {
			stdout += text;
		});
		child.stderr.setEncoding("utf8").on("data", (text: string) => {
			stderr += text;
		});
		const code = await new Promise<number | null>((resolve, reject) =>
			child.once("error", reject).once("close", resolve),
		);
		const hosts = new Set(
			readFileSync(log, "utf8")
				.split("\n")
				.filter((line) => line !== ""),
		);
		const left = readdirSync(temporary);
		return { code, stdout, stderr, hosts, left };
	}

	/** The report of a rehearsal that went well, stayed on this machine and left nothing. */
	async function reportOf(words: readonly string[], built = false): Promise<Report> {
		project.write("connections.log", "");
		const before = project.files("");
		const { code, stdout, stderr, hosts, left } = await rehearse([...words, "--json"], built);
		expect({ code, stderr: code === 0 ? "" : stderr + stdout }).toEqual({ code: 0, stderr: "" });
		expect([...hosts]).toEqual(["127.0.0.1"]);
		expect(left).toEqual([]);
		expect(project.files("")).toEqual(before);
		return (JSON.parse(stdout) as { readonly data: Report }).data;
	}

	const S3 =
		'lake: { type: s3, bucket: acme-lake, prefix: staging/, region: eu-west-1, access_key_id: "${env:NOT_SET}", secret_access_key: "${env:NOT_SET_TOO}" }\n';
	const REDSHIFT = `${S3}warehouse:
  type: redshift
  host: "\${env:NO_HOST}"
  database: dw
  user: loader
  password: "\${file:no-such-file}"
  iam_role: arn:aws:iam::123456789012:role/headrace-copy
`;

	test("by way of S3 into Redshift, twice, with the SQL, no secret of the services at hand", {
		timeout: 120_000,
	}, async () => {
		write(REDSHIFT, "staging: lake\n");
		const report = await reportOf(["--twice", "--sql"]);
		expect(report.runs.map(({ state }) => state)).toEqual(["succeeded", "succeeded"]);
		expect(report.tables).toEqual([
			{ table: "raw.customers", rows: "2" },
			{ table: "raw.orders", rows: "3000" },
		]);
		const sql = report.sql!.join(";\n");
		expect(sql).toMatch(/COPY[^;]*s3:\/\/acme-lake\/staging\/[^;]*role\/headrace-copy/is);
		expect(report.sql!.join()).not.toContain("Бob");
		expect(report.objects.some(({ address }) => address.startsWith("s3://acme-lake/staging/"))).toBe(true);
	});

	test("into Snowflake by an internal stage", { timeout: 120_000 }, async () => {
		write(
			'warehouse: { type: snowflake, account: acme-eu, user: loader, private_key: "${file:key.pem}", warehouse: load, database: analytics }\n',
		);
		const report = await reportOf(["--twice", "--sql"]);
		expect(report.tables.map(({ rows }) => rows)).toEqual(["2", "3000"]);
		expect(report.sql!.join(";\n")).toMatch(/COPY INTO/i);
	});

	test("into a lake in S3 with Glue, from an address too", { timeout: 120_000 }, async () => {
		write(
			'warehouse: { type: lake, bucket: acme-lake, prefix: lake, region: eu-central-1, role_arn: "arn:aws:iam::1:role/x", partition_by: [day(day)], glue: {} }\n',
		);
		const report = await reportOf(["--twice"]);
		expect(report.tables.map(({ rows }) => rows)).toEqual(["2", "3000"]);
		expect(report.glue).toContain("CreateTable");
		expect(report.objects.some(({ address }) => address.endsWith(".parquet"))).toBe(true);
		expect(report.left_out).toEqual(["role_arn: no role is assumed"]);
		expect(report.sql).toBeUndefined();
		write("warehouse: lake://acme-lake/lake?access_key_id=${env:NOT_SET}\n");
		expect((await reportOf([])).tables.map(({ rows }) => rows)).toEqual(["2", "3000"]);
	});

	test("says at its top and bottom that these are stand-ins", { timeout: 120_000 }, async () => {
		write(
			"lake: s3://acme-lake/staging?secret_access_key=${env:NOT_SET}\nwarehouse: redshift://loader:${env:NOT_SET}@${env:NO_HOST}:5439/dw\n",
			"staging: lake\n",
		);
		const { code, stdout, stderr } = await rehearse([]);
		expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
		const lines = stdout.split("\n");
		expect(lines[0]).toMatch(/^Rehearsal of shop: stand-ins on this machine, not the services$/);
		expect(stdout).toMatch(/replaced {7}warehouse: stand-in of Redshift on 127\.0\.0\.1:\d+\n/);
		expect(stdout).toMatch(
			/raw\.orders {2}3000\n[\s\S]*rehearsal against stand-ins: nothing has left this machine\.\nNot proved: rights/,
		);
	});

	test("what would be written to for real is refused, and so is a bucket to read from", async () => {
		write("warehouse: postgres://loader@db.example/analytics\n");
		expect(await rehearse([])).toMatchObject({
			code: 2,
			stderr: expect.stringMatching(/E_UNSUPPORTED.*there is no stand-in of postgres/s),
			hosts: new Set(),
		});
		write("lake: s3://Acme/x\nwarehouse: { type: lake, bucket: Acme }\n", "staging: lake\n");
		expect(await rehearse([])).toMatchObject({
			code: 2,
			stderr: expect.stringMatching(/E_INVALID_VALUE.*bucket Acme/s),
			left: [],
		});
		project.write("pipelines/shop.yaml", "from: s3://acme-lake/exports\nto: warehouse\ntables: { '*': {} }\n");
		expect(await rehearse([])).toMatchObject({
			code: 2,
			stderr: expect.stringMatching(/E_UNSUPPORTED.*nothing to read/s),
			hosts: new Set(),
		});
	});

	const notBuilt = existsSync(STAND_INS) ? undefined : "dist is not built: npm run build";
	test.skipIf(notBuilt !== undefined)(
		`the published program has the stand-ins${notBuilt === undefined ? "" : ` (${notBuilt})`}`,
		{ timeout: 120_000 },
		async () => {
			write(REDSHIFT, "staging: lake\n");
			expect((await reportOf([], true)).tables.map(({ rows }) => rows)).toEqual(["2", "3000"]);
			write("warehouse: { type: snowflake, account: acme-eu, user: loader }\n");
			expect((await reportOf([], true)).tables.map(({ rows }) => rows)).toEqual(["2", "3000"]);
			write("warehouse: { type: lake, bucket: acme-lake, glue: {} }\n");
			expect((await reportOf([], true)).tables.map(({ rows }) => rows)).toEqual(["2", "3000"]);
		},
	);
});
