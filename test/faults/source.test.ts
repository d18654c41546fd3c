import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePort } from "../support/processes.ts";
import { startProxy, throughProxy } from "../support/proxy.ts";
import { PASSWORD, type RunningServer, type ServerName } from "../support/server.ts";
import { freshDatabase } from "../support/shared.ts";
import { missing, startServer } from "../support/start.ts";
import { envelopeOf, Project, until } from "./project.ts";
import { readWarehouse } from "./warehouse.ts";

const ROWS = 60_000;
/** Long enough that a server's answer does not fit into the buffers between it and us. */
const SCHEMA_OF = { mariadb: (database: string) => database, postgres15: () => "public" } as const;
const FILL = {
	mariadb: `create table big (id bigint primary key, note varchar(400) not null);
		insert into big select seq, repeat(md5(seq), 10) from seq_1_to_${ROWS}`,
	postgres15: `create table big (id bigint primary key, note text not null);
		insert into big select i, repeat(md5(i::text), 10) from generate_series(1, ${ROWS}) i`,
};

describe.each<["mariadb" | "postgres15"]>([["mariadb"], ["postgres15"]])("a source that fails: %s", (name) => {
	describe.skipIf(missing(name as ServerName))("", () => {
		let server: RunningServer;
		beforeAll(async () => {
			server = await startServer(name, {
				settings: name === "mariadb" ? { general_log: 1, general_log_file: "general.log" } : { log_connections: "on" },
			});
			await server.createDatabase("prod");
			await server.query("prod", FILL[name]);
		});
		afterAll(() => server?.stop());

		const schema = SCHEMA_OF[name]("prod");
		const project = (url: string, keys = "retries: 0") =>
			new Project({
				"pipelines/p.yaml": `from: ${url}\nto: duckdb:w.duckdb\n${keys}\ntables: { ${schema}.big: {} }\n`,
			});
		const rows = async (copy: Project) => (await readWarehouse(copy.path("w.duckdb"))).tables.get(`${schema}.big`);

		test("killed while it is read: the run fails, the old table stays; started again, the next run is whole", async () => {
			await using proxy = await startProxy(server);
			using copy = project(throughProxy(server.url("prod"), proxy));
			await copy.succeed("run", "p");
			const old = await rows(copy);
			expect(old).toHaveLength(ROWS);
			await server.query("prod", "update big set note = 'changed' where id <= 10");
			proxy.set({ stallAfterBytes: 4_000_000 });
			const before = proxy.bytesToClient;
			const running = copy.start(["run", "p"]);
			await until(() => proxy.bytesToClient - before > 4_000_000, "a part of the rows is read");
			await server.kill9();
			const result = await running.ended;
			const [error] = envelopeOf(result).errors;
			expect(result.code, result.stdout).toBe(error!.code === "E_CONNECT" ? 4 : 1);
			expect(["E_CONNECTION_LOST", "E_CONNECT"]).toContain(error!.code);
			expect(await rows(copy)).toEqual(old);
			await server.restart();
			proxy.set({});
			await copy.succeed("run", "p");
			expect((await rows(copy))!.filter((line) => line.endsWith("|changed"))).toHaveLength(10);
		});

		test("a connection that breaks is made again while `retries` allow", async () => {
			await using proxy = await startProxy(server, { cutAfterBytes: 4_000_000 });
			using copy = project(throughProxy(server.url("prod"), proxy), "retries: 3\nretry_delay: 200ms");
			const running = copy.start(["run", "p"]);
			await running.says(/attempt 2/);
			proxy.set({});
			const result = await running.ended;
			expect(result.code, result.stdout).toBe(0);
			const [table] = envelopeOf(result).data!.runs[0]!.tables;
			expect(table!.attempts).toBeGreaterThan(1);
			expect(table).toMatchObject({ rows_read: ROWS, rows_staged: ROWS, rows_loaded: ROWS });
			expect(await rows(copy)).toHaveLength(ROWS);
		});

		test("a wrong password: exit 4, one login, and the password is told nowhere", async () => {
			const secret = "wr0ng/Pa55:w?rd+&=";
			const url = new URL(server.url("prod"));
			url.password = encodeURIComponent(secret);
			const logins = () =>
				name === "mariadb"
					? readFileSync(join(server.folder, "data/general.log"), "utf8").match(/Access denied for user 'headrace'/g)
					: readFileSync(join(server.folder, "server.log"), "utf8").match(/password authentication failed for user/g);
			const count = () => logins()?.length ?? 0;
			using copy = project(url.href, "retries: 3\nretry_delay: 100ms");
			copy.write(
				"connections.yaml",
				`again: { type: ${name === "mariadb" ? "mysql" : "postgres"}, host: 127.0.0.1,
  port: ${server.port}, user: headrace, password: "\${env:SHOP_PASSWORD}", database: prod }\n`,
			);
			copy.write("pipelines/q.yaml", `from: again\nto: duckdb:w.duckdb\ntables: { ${schema}.big: {} }\n`);
			const env = { SHOP_PASSWORD: secret };
			const attempts = [
				{ words: ["run", "p"], plain: false },
				{ words: ["run", "p", "-v"], plain: true },
				{ words: ["run", "q", "-v"], plain: true },
				{ words: ["run", "q", "-v"], plain: false },
				{ words: ["copy", url.href, "duckdb:w.duckdb", "-v"], plain: true },
				{ words: ["check", "q"], plain: true },
			];
			for (const { words, plain } of attempts) {
				const before = count();
				const result = await copy.start(words, { plain, env }).ended;
				expect(result.code, result.stdout + result.stderr).toBe(4);
				expect(result.stdout + result.stderr).toContain("E_LOGIN");
				expect(count() - before, words.join(" ")).toBe(1);
			}
			copy.output.push(
				...copy.files(".headrace").map((file) => readFileSync(copy.path(`.headrace/${file}`), "latin1")),
			);
			const forms = [secret, encodeURIComponent(secret), Buffer.from(secret).toString("base64"), encodeURI(secret)];
			for (const text of copy.output) for (const form of forms) expect(text.includes(form), form).toBe(false);
			expect(existsSync(copy.path("w.duckdb"))).toBe(false);
		});

		test("the right password is told nowhere either, whatever fails", async () => {
			using copy = project(server.url("prod"));
			await copy.start(["run", "p", "-v"], { plain: true }).ended;
			await copy.start(["run", "p", "--table", "nothing", "-v"], { plain: true }).ended;
			await copy.start(["plan", "p", "-v"], { plain: true }).ended;
			await copy.start(["copy", server.url("nothing"), "duckdb:w.duckdb", "-v"]).ended;
			for (const text of copy.output)
				for (const form of [PASSWORD, encodeURIComponent(PASSWORD), Buffer.from(PASSWORD).toString("base64")])
					expect(text.includes(form), `${form} in ${text}`).toBe(false);
		});

		test("a host that does not answer: exit 4, and nothing is made", async () => {
			const url = new URL(server.url("prod"));
			url.port = String(await freePort());
			using copy = project(url.href);
			const [error] = await copy.fail(4, "run", "p");
			expect(error!.code).toBe("E_CONNECT");
			expect(existsSync(copy.path("w.duckdb"))).toBe(false);
		});

		test("a table that the user may not read: exit 4 and the GRANT, before anything is made", async () => {
			await using database = await freshDatabase(server);
			const inSchema = SCHEMA_OF[name](database.name);
			await database.query("create table open_one (id int primary key); create table closed_one (id int primary key)");
			await database.query("insert into open_one values (1), (2)");
			const user = `limited_${process.pid}`;
			if (name === "mariadb")
				await server.admin(
					`create user ${user}@'127.0.0.1' identified by 'x'; grant select on ${database.name}.open_one to ${user}@'127.0.0.1';
					 grant insert on ${database.name}.closed_one to ${user}@'127.0.0.1'`,
				);
			else
				await database.query(
					`create role ${user} login password 'x'; grant usage on schema public to ${user}; grant select on open_one to ${user}`,
				);
			using copy = new Project({
				"pipelines/p.yaml": `from: ${server.url(database.name).replace(/\/\/[^@]*@/, `//${user}:x@`)}\nto: duckdb:w.duckdb\nretries: 0
tables: { ${inSchema}.open_one: {}, ${inSchema}.closed_one: {} }\n`,
			});
			const result = await copy.run("run", "p");
			const { errors } = envelopeOf(result);
			expect(result.code, result.stdout + result.stderr).toBe(4);
			expect(errors).toMatchObject([{ code: "E_RIGHTS" }]);
			expect(existsSync(copy.path("w.duckdb"))).toBe(false);
			expect(`${errors[0]!.message} ${errors[0]!.hint}`).toMatch(/GRANT SELECT ON .*closed_one.* TO/i);
			if (name === "postgres15") await database.query(`drop owned by ${user}; drop role ${user}`);
		});
	});
});
