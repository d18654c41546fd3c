import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { Engine } from "../../src/engine/index.ts";
import { temporaryFolder } from "../support/processes.ts";

const folder = temporaryFolder("file-lock");
afterAll(() => folder.remove());

/** What another process says that opens the file to write. */
function openElsewhere(path: string): string {
	const program = `
		import { Engine } from ${JSON.stringify(join(import.meta.dirname, "../../src/engine/index.ts"))};
		try { (await Engine.open({ path: ${JSON.stringify(path)} }), console.log("open")); } catch (e) { console.log(e.code); }`;
	const done = spawnSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" });
	return done.stdout.trim() || done.stderr;
}

/** A library user's process goes on after a run: the file must not stay locked until garbage is collected. */
test("an engine that is closed gives its file back at once, and can open it again, whatever it ran", async () => {
	const path = join(folder.path, "a.duckdb");
	for (const readOnly of [false, true, true]) {
		await using engine = await Engine.open({ path, readOnly });
		await using connection = await engine.connect();
		if (!readOnly) {
			await connection.execute("CREATE TABLE t AS SELECT range AS a FROM range(10000)");
			await connection.execute("DELETE FROM t WHERE a = ?", [3]);
		}
		await connection.query("SELECT a FROM t WHERE a > ?", [5000]);
		await connection.query("SELECT a::HUGEINT AS h FROM t LIMIT 1");
		await expect(connection.query("SELECT nothing FROM t")).rejects.toThrow(/nothing/);
		await expect(connection.query("SELECT CAST('x' || a AS INTEGER) FROM t")).rejects.toMatchObject({
			code: "E_VALUE",
		});
		await engine[Symbol.asyncDispose]();
		expect(openElsewhere(path)).toBe("open");
	}
});
