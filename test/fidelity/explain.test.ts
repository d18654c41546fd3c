import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { PlanTable } from "../../src/app/api.ts";
import { envelopeOf, headrace } from "../cli/cli.ts";
import { freshDatabase, sharedServer } from "../support/shared.ts";
import { missing } from "../support/start.ts";

const SERVERS = [
	["mariadb", "d date, n decimal(20,4), b varbinary(10), u bigint unsigned, p point"],
	["postgres18", "d date, n numeric(20,4), b bytea, r int4range, a int4[], m money, p point"],
] as const;

describe.each(SERVERS)("%s", (server, columns) => {
	test.skipIf(missing(server))("plan and types explain state the same facts of every column", async () => {
		await using database = await freshDatabase(await sharedServer(server));
		await database.query(`create table facts (id int primary key, ${columns})`);
		const directory = mkdtempSync(join(tmpdir(), "headrace-explain-"));
		try {
			mkdirSync(join(directory, "pipelines"));
			const schema = server === "mariadb" ? database.name : "public";
			const pipeline = (mode: string, refused: string) =>
				writeFileSync(
					join(directory, "pipelines", `${mode}.yaml`),
					`pipeline: ${mode}\nfrom: source\nto: duckdb:out.duckdb\ntypes: { mode: ${mode} }\ntables:\n  ${schema}.facts: { ${refused} }\n`,
				);
			writeFileSync(join(directory, "connections.yaml"), `source: "${database.readerUrl}"\n`);
			pipeline("exact", "columns: { p: { type: int32 } }");
			pipeline("lenient", "");
			pipeline("string", "");
			for (const mode of ["exact", "lenient", "string"]) {
				const ask = (...verb: string[]) => headrace([...verb, mode, "--json"], { cwd: directory });
				const [plan, explained] = await Promise.all([ask("plan"), ask("types", "explain")]);
				const tablesOf = (answer: typeof plan) => (envelopeOf(answer).data as { tables: PlanTable[] }).tables;
				expect(tablesOf(explained)).toEqual(tablesOf(plan));
				const facts = tablesOf(plan)[0]!.columns;
				expect(facts.map(({ name }) => name)).toEqual([
					"id",
					...columns.split(", ").map((column) => column.split(" ")[0]),
				]);
				if (mode === "exact") expect(facts.at(-1)).toMatchObject({ fidelity: "refused" });
				if (mode === "lenient") expect(facts.filter(({ fidelity }) => fidelity === "lossy").length).toBeGreaterThan(1);

				if (mode !== "lenient") continue;
				// What people read has them, too: each column with its types, and every note.
				const text = (await headrace(["types", "explain", mode], { cwd: directory })).stdout;
				for (const { name, source_type, destination_type, fidelity, note } of facts) {
					const line = text.split("\n").find((each) => each.trim().startsWith(`${name} `));
					for (const fact of [source_type, destination_type, fidelity, note ?? ""]) expect(line).toContain(fact);
				}
				const told = (await headrace(["plan", mode], { cwd: directory })).stdout;
				for (const { fidelity, note } of facts) if (fidelity !== "exact") expect(told).toContain(note);
			}
		} finally {
			rmSync(directory, { recursive: true, force: true });
		}
	});
});
