import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Engine } from "../../src/engine/index.ts";
import { freshDatabase, sharedServer } from "../support/shared.ts";
import { missing } from "../support/start.ts";
import { type Answer, type Listener, listen, openWorld, tokenOf, until, type World } from "./world.ts";

let directory: string;
let world: World;
let server: Listener;
const token = { viewer: "", operator: "", admin: "" };
/** Everything that the server answered or said. */
let said = "";

/** Values that nothing of may be seen. */
const RAW = [
	"Wilhelmina",
	"Quuxley",
	"w.quuxley@secret.example",
	"secret",
	"815162342",
	"2019-03-07",
	"Zürich",
	"東京",
];
const PEOPLE = `id,name,email,paid,born,city,note
815162342,Wilhelmina Quuxley,w.quuxley@secret.example,false,2019-03-07,"Zürich, 東京",${"secret ".repeat(9)}
`;

const sampleOf = (pipeline: string, table: string) =>
	`/api/pipelines/${pipeline}/tables/${encodeURIComponent(table)}/sample`;

async function ask(path: string, role: keyof typeof token, from: Listener = server): Promise<Answer> {
	const answer = await from.ask(path, { method: "POST", token: token[role] });
	said += answer.text;
	return answer;
}

async function run(http: Listener, token: string, pipeline: string): Promise<void> {
	const asked = await http.ask(`/api/pipelines/${pipeline}/run`, { token, body: {} });
	await until(async () => {
		const { job } = (await http.ask(`/api/jobs/${asked.json.job.job_id}`, { token })).json;
		if (job.state === "failed") throw new Error(JSON.stringify(job.error));
		return job.state === "succeeded" ? true : undefined;
	});
}

/** Rows come in no order. */
const sorted = (rows: readonly unknown[]) =>
	rows
		.map((row) => JSON.stringify(row))
		.sort()
		.map((text) => JSON.parse(text));

beforeAll(async () => {
	directory = mkdtempSync(join(tmpdir(), "headrace-samples-"));
	mkdirSync(join(directory, "data"), { recursive: true });
	writeFileSync(join(directory, "data/people.csv"), PEOPLE);
	world = await openWorld({
		directory,
		realSource: true,
		pipelines: {
			shop: "from: ./data\nto: duckdb:out.duckdb\ntables: { people: { into: raw.people } }\n",
			files: "from: ./data\nto: ./out\ntables: { people: {} }\n",
		},
	});
	await world.service.start();
	for (const role of ["viewer", "operator", "admin"] as const) token[role] = await tokenOf(world, role);
	server = await listen(world, { sampleRows: true });
	await run(server, token.operator, "shop");
	await run(server, token.operator, "files");
});
afterAll(async () => {
	await server[Symbol.asyncDispose]();
	await world[Symbol.asyncDispose]();
	rmSync(directory, { recursive: true, force: true });
});

test("an admin sees the shape of a few rows and no value of them", async () => {
	const { status, json } = await ask(sampleOf("shop", "people"), "admin");
	expect(status).toBe(200);
	expect(json).toMatchObject({ pipeline: "shop", table: "people", into: "raw.people", columns_left_out: 0 });
	const shapes = Object.fromEntries(
		json.columns.map(({ name }: { name: string }, place: number) => [name, json.rows[0][place]]),
	);
	expect(shapes).toEqual({
		id: "999999999",
		name: "Xxxxxxxxxx Xxxxxxx",
		email: "x.xxxxxxx@xxxxxx.xxxxxxx",
		// Neither true nor false can be told from it.
		paid: "x",
		born: "9999-99-99",
		city: "Xxxxxx, xx",
		note: `${"xxxxxx ".repeat(6).slice(0, 40)}…`,
	});
});

test("nobody else sees it, nor anybody of a server that was not told to show rows, nor another site", async () => {
	expect((await ask(sampleOf("shop", "people"), "viewer")).status).toBe(403);
	expect((await ask(sampleOf("shop", "people"), "operator")).status).toBe(403);
	expect((await server.ask(sampleOf("shop", "people"), { method: "POST" })).status).toBe(401);
	const login = await server.ask("/api/login", { body: { token: token.admin }, headers: { origin: server.address } });
	const cookie = login.headers.get("set-cookie")!.split(";")[0]!;
	const forged = { cookie, origin: "https://attacker.example", "sec-fetch-site": "cross-site" };
	expect((await server.ask(sampleOf("shop", "people"), { method: "POST", headers: forged })).status).toBe(403);
	expect((await server.ask(sampleOf("shop", "people"), { token: token.admin })).status, "a link can't ask").toBe(404);
	const plain = await listen(world);
	const refused = await ask(sampleOf("shop", "people"), "admin", plain);
	expect(refused.status).toBe(403);
	expect(refused.json.errors[0]).toMatchObject({ code: "E_ACCESS", hint: /--sample-rows/ });
	const session = async (listener: Listener) =>
		(await listener.ask("/api/session", { token: token.admin })).json.sample_rows;
	expect([await session(plain), await session(server)]).toEqual([false, true]);
	await plain[Symbol.asyncDispose]();
});

test("only what the pipeline brought is shown: no other table, no other column, no SQL in a name", async () => {
	{
		await using engine = await Engine.open({ path: join(directory, "out.duckdb") });
		await using connection = await engine.connect();
		await connection.execute("CREATE TABLE raw.salaries AS SELECT 'Quuxley' AS who");
		await connection.execute("ALTER TABLE raw.people ADD COLUMN added_by_hand VARCHAR DEFAULT 'Quuxley'");
	}
	const person = await tokenOf(world, "admin", "second");
	const asked = (table: string) => server.ask(sampleOf("shop", table), { method: "POST", token: person });
	for (const name of ["salaries", "raw.salaries", 'people"; DROP TABLE raw.people; --', "_headrace.positions"]) {
		const answer = await asked(name);
		said += answer.text.replace("Quuxley", "");
		expect(answer.status, name).toBe(400);
		expect(answer.json.errors[0].code).toBe("E_UNKNOWN_TABLE");
	}
	const { json } = await asked("people");
	expect(json.columns.map(({ name }: { name: string }) => name)).not.toContain("added_by_hand");
	expect((await asked("people")).json.rows).toHaveLength(1);
});

test("a destination that can't be asked for rows says so, and what can", async () => {
	const { status, json } = await ask(sampleOf("files", "people"), "admin");
	expect(status).toBe(400);
	expect(json.errors[0]).toMatchObject({ code: "E_UNSUPPORTED", message: /file/, hint: /duckdb, postgres/ });
});

test("it is asked for ten times a minute at most, by each person", async () => {
	const person = await tokenOf(world, "admin", "curious");
	const asked = () => server.ask(sampleOf("shop", "people"), { method: "POST", token: person });
	const statuses: number[] = [];
	for (let time = 0; time < 11; time++) statuses.push((await asked()).status);
	expect(statuses).toEqual([...Array(10).fill(200), 429]);
	expect(Number((await asked()).headers.get("retry-after"))).toBeGreaterThan(0);
});

test("who looked, and who was refused, is in the audit; no value is, nor in any answer, notice or error", async () => {
	const audit = await server.ask("/api/audit?limit=100", { token: token.admin });
	const entries = audit.json.entries.filter(({ action }: { action: string }) => action === "sample");
	const kinds = entries.map(({ who, outcome }: { who: string; outcome: string }) => `${who} ${outcome}`);
	for (const kind of ["admin done", "viewer refused", "operator refused", "admin refused", "curious refused"])
		expect(kinds).toContain(kind);
	expect(entries.find(({ outcome }: { outcome: string }) => outcome === "done")).toMatchObject({
		subject: "shop people",
		detail: "1 row of raw.people, masked",
	});
	const { runs } = (await server.ask("/api/runs", { token: token.admin })).json;
	const logs = await Promise.all(
		runs.map(({ run_id }: { run_id: string }) => server.ask(`/api/runs/${run_id}/log`, { token: token.admin })),
	);
	const all = [said, audit.text, world.notices.join("\n"), server.errors.join("\n"), ...logs.map(({ text }) => text)];
	for (const raw of RAW) for (const text of all) expect(text).not.toContain(raw);
});

test.skipIf(missing("postgres15"))(
	"of PostgreSQL too; and a DuckDB file that the server's own change stream holds answers rows, plan and check",
	async () => {
		const postgres = await sharedServer("postgres15");
		await using source = await freshDatabase(postgres, "source");
		await using target = await freshDatabase(postgres, "target");
		await source.query("create table notes (id int primary key, body text, seen bool, tags text[], raw bytea)");
		await source.query(
			`insert into notes values (7, 'Wilhelmina', true, '{Quuxley}', '\\x0815'), (8, null, null, null, null)`,
		);
		const cdc = "schedule: continuous\nflush: { seconds: 0.1 }\ntables: { public.notes: { mode: cdc } }\n";
		await using other = await openWorld({
			pipelines: {
				held: `from: source\nto: file\nstaging: ./staged\n${cdc}`,
				copy: "from: source\nto: target\ntables: { public.notes: { into: copied.notes } }\n",
			},
			connections: `source: "${source.url}"\ntarget: "${target.url}"\nfile: duckdb:held.duckdb\n`,
			realSource: true,
		});
		const admin = await tokenOf(other, "admin");
		await using http = await listen(other, { sampleRows: true });
		const post = (path: string) => http.ask(path, { token: admin, body: {} });
		await other.service.start();
		let people = 0;
		const sample = async (pipeline: string) => {
			// Each time somebody else: it is asked for until the rows are there.
			const person = await tokenOf(other, "admin", `person-${++people}`);
			return http.ask(sampleOf(pipeline, "public.notes"), { method: "POST", token: person });
		};
		const rows = await until(async () => {
			const { status, json } = await sample("held");
			return status === 200 && json.rows.length === 2 ? json.rows : undefined;
		});
		expect(sorted(rows.map((row: unknown[]) => row.slice(0, 3)))).toEqual([
			["9", "Xxxxxxxxxx", "x"],
			["9", null, null],
		]);
		expect((await http.ask("/api/pipelines/held/changes", { token: admin })).json.state).toBe("following");
		expect((await post("/api/pipelines/held/plan")).json.tables).toMatchObject([{ table: "public.notes" }]);
		expect((await post("/api/pipelines/held/check")).json.findings).not.toContainEqual(
			expect.objectContaining({ message: expect.stringContaining("E_BUSY") }),
		);
		expect((await post("/api/connections/file/test")).json).toMatchObject({ ok: true });
		await run(http, admin, "copy");
		const copied = (await sample("copy")).json;
		expect(copied.columns.map(({ name }: { name: string }) => name)).toEqual(["id", "body", "seen", "tags", "raw"]);
		expect(sorted(copied.rows)).toEqual([
			["9", "Xxxxxxxxxx", "x", "{Xxxxxxx}", "x"],
			["9", null, null, null, null],
		]);
	},
	180_000,
);
