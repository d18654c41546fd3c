import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { temporaryFolder } from "../support/processes.ts";
import { freshDatabase, sharedServer } from "../support/shared.ts";
import { missing } from "../support/start.ts";
import { verb } from "./in-process.ts";

describe.skipIf(missing("mariadb"))("grants", () => {
	test("come before there is a loader, are JSON to paste, and ask for no table of a query's name", async () => {
		const database = await freshDatabase(await sharedServer("mariadb"));
		const folder = temporaryFolder("grants");
		try {
			await database.query("create table t (id int primary key)");
			const role = "arn:aws:iam::123456789012:role/copy";
			const files = {
				"connections.yaml": [
					`source: "${database.url}"`,
					"lake: { type: s3, bucket: acme-lake, prefix: staging/, region: eu-west-1 }",
					`warehouse: { type: redshift, host: 127.0.0.1, port: 1, database: dw, user: loader, password: later, iam_role: "${role}" }`,
				],
				"p.yaml": [
					"from: source",
					"to: warehouse",
					"staging: lake",
					"tables:",
					`  ${database.name}.t: { into: raw.t }`,
					"  q: { query: select id from t, into: raw.q }",
				],
			};
			for (const [name, lines] of Object.entries(files))
				writeFileSync(join(folder.path, name), `${lines.join("\n")}\n`);
			const { code, stdout, stderr } = await verb(folder.path, ["grants", "p"]);
			expect(code, stderr).toBe(0);
			expect(stdout).toContain('CREATE SCHEMA IF NOT EXISTS "raw" AUTHORIZATION "loader";');
			expect(stdout).toContain("-- SELECT on what these read, too: q");
			expect(stdout).toMatch(/GRANT PROCESS ON \*\.\* TO '/);
			expect(stdout).not.toContain("`q`");
			const documents = stdout.match(/^\{\n[\s\S]*?^\}$/gm) ?? [];
			expect(documents).toHaveLength(4);
			for (const document of documents) expect(JSON.parse(document)).toMatchObject({ Version: "2012-10-17" });
		} finally {
			folder.remove();
			await database.drop();
		}
	});
});
