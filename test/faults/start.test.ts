import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startProxy, throughProxy } from "../support/proxy.ts";
import type { RunningServer } from "../support/server.ts";
import { missing, startServer } from "../support/start.ts";
import { envelopeOf, Project } from "./project.ts";
import { readWarehouse } from "./warehouse.ts";

const ROWS = 30_000;
const FILL = {
	mariadb: `create table big (id bigint primary key, note varchar(400) not null);
		insert into big select seq, repeat(md5(seq), 10) from seq_1_to_${ROWS}; create table small (id int primary key);
		insert into small values (1)`,
	postgres15: `create table big (id bigint primary key, note text not null);
		insert into big select i, repeat(md5(i::text), 10) from generate_series(1, ${ROWS}) i;
		create table small (id int primary key); insert into small values (1)`,
};

describe.each<["mariadb" | "postgres15"]>([["mariadb"], ["postgres15"]])("the start of a run: %s", (name) => {
	describe.skipIf(missing(name))("", () => {
		let server: RunningServer;
		beforeAll(async () => {
			server = await startServer(name);
			await server.createDatabase("prod");
			await server.query("prod", FILL[name]);
		});
		afterAll(() => server?.stop());

		const schema = name === "mariadb" ? "prod" : "public";
		const project = (keys: string, tables: string, url = server.url("prod")) =>
			new Project({ "pipelines/p.yaml": `from: ${url}\nto: duckdb:w.duckdb\n${keys}\ntables: { ${tables} }\n` });

		test("a server that is down when a run begins and comes up while `retries` allow: the run is whole", async () => {
			using copy = project("retries: 20\nretry_delay: 400ms", `${schema}.small: {}`);
			await server.kill9();
			const running = copy.start(["run", "p"]);
			await running.says(/attempt 2 failed with E_CONNECT/);
			await server.restart();
			const result = await running.ended;
			expect(result.code, result.stdout + result.stderr).toBe(0);
			const [run] = envelopeOf(result).data!.runs;
			expect(run).toMatchObject({ state: "succeeded", tables: [{ attempts: 1, rows_loaded: 1 }] });
			expect(run!.attempt_errors!.map(({ attempt }) => attempt).slice(0, 2)).toEqual([1, 2]);
			expect(run!.attempt_errors![0]).toMatchObject({ code: "E_CONNECT" });
			const shown = await copy.start(["runs", "show", run!.run_id], { plain: true }).ended;
			expect(shown.stdout).toMatch(/attempt 1 failed \d{4}-\d\d-\d\d .* E_CONNECT {2}/);
			const logs = await copy.start(["logs", run!.run_id], { plain: true }).ended;
			expect(logs.stdout).toMatch(/warn {3}attempt 1 failed with E_CONNECT: .*; next in 0\.\d+ s/);
		});

		test("one that stays away is asked once and `retries` times, the run is kept, and --failed repeats all of it", async () => {
			await using proxy = await startProxy(server, { refuse: true });
			using copy = project(
				"retries: 2\nretry_delay: 50ms",
				`${schema}.small: {}`,
				throughProxy(server.url("prod"), proxy),
			);
			const result = await copy.run("run", "p");
			expect([1, 4], result.stderr).toContain(result.code);
			expect(result.stderr.match(/attempt \d failed/g)).toEqual(["attempt 1 failed", "attempt 2 failed"]);
			const listed = envelopeOf(await copy.run("runs", "p")).data!.runs;
			expect(listed).toMatchObject([
				{ state: "failed", tables: [], error: { code: expect.stringMatching(/^E_CONNECT/) }, attempt_errors: [{}, {}] },
			]);
			const logs = await copy.start(["logs", listed[0]!.run_id], { plain: true }).ended;
			expect(logs.stdout).toMatch(/error {2}run failed with E_CONNECT/);
			proxy.set({});
			const [repeated] = await copy.succeed("run", "p", "--failed", listed[0]!.run_id);
			expect(repeated!.tables.map(({ table }) => table)).toEqual([`${schema}.small`]);
		});

		test("a table's own `retries` beat the pipeline's, and each failed attempt is in the receipt", async () => {
			await using proxy = await startProxy(server, { cutAfterBytes: 2_000_000 });
			using copy = project(
				"retries: 0\nretry_delay: 10s\nconcurrency: 1",
				`${schema}.big: { retries: 5, retry_delay: 200ms }`,
				throughProxy(server.url("prod"), proxy),
			);
			const running = copy.start(["run", "p"]);
			await running.says(/attempt 2 in/);
			proxy.set({});
			const result = await running.ended;
			expect(result.code, result.stdout).toBe(0);
			expect(result.milliseconds).toBeLessThan(9_000);
			const [table] = envelopeOf(result).data!.runs[0]!.tables;
			expect(table!.attempt_errors).toHaveLength(table!.attempts - 1);
			expect(table!.attempt_errors![0]).toMatchObject({ attempt: 1, code: "E_CONNECTION_LOST" });
			expect((await readWarehouse(copy.path("w.duckdb"))).tables.get(`${schema}.big`)).toHaveLength(ROWS);
			proxy.set({ cutAfterBytes: 2_000_000 });
			copy.write(
				"pipelines/q.yaml",
				`from: ${throughProxy(server.url("prod"), proxy)}\nto: duckdb:w2.duckdb\nretries: 5\ndefaults: { retries: 0 }\ntables: { ${schema}.big: {} }\n`,
			);
			const once = envelopeOf(await copy.run("run", "q")).data!.runs[0]!.tables[0]!;
			expect(once).toMatchObject({ state: "failed", attempts: 1, error: { code: "E_CONNECTION_LOST" } });
		});

		test("SIGTERM in the pause before a retry ends it at once, with one JSON object", async () => {
			await using proxy = await startProxy(server, { refuse: true });
			using copy = project(
				"retries: 3\nretry_delay: 1m",
				`${schema}.small: {}`,
				throughProxy(server.url("prod"), proxy),
			);
			const running = copy.start(["run", "p"]);
			await running.says(/attempt 1 failed/);
			running.kill("SIGTERM");
			const result = await running.ended;
			expect(result.code, result.stderr).toBe(143);
			expect(envelopeOf(result).errors).toMatchObject([{ code: "E_STOPPED" }]);
			expect(result.milliseconds).toBeLessThan(20_000);
			expect(envelopeOf(await copy.run("runs")).data!.runs).toMatchObject([{ state: "stopped" }]);
		});
	});
});
