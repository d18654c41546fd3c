import { readdirSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Project } from "../faults/project.ts";

test("staged files of committed loads stay for the retention, and go with a later run", async () => {
	using project = new Project({
		"connections.yaml": "staged: { type: file, path: ./staged, retention: 2h }\n",
		"pipelines/copy.yaml":
			"from: ./in\nto: duckdb:copy.duckdb\nstaging: staged\ntables:\n  orders: { mode: full, key: id }\n",
		"in/orders.csv": "id,amount\n1,10\n2,20\n",
	});
	const staged = () =>
		readdirSync(project.path("staged"), { recursive: true, encoding: "utf8" })
			.map((name) => join(project.path("staged"), name))
			.filter((path) => statSync(path).isFile());
	const run = async (rows: string) => {
		project.write("in/orders.csv", `id,amount\n${rows}`);
		await project.succeed("run", "copy");
	};
	await project.succeed("run", "copy");
	const first = staged();
	expect(first.length).toBeGreaterThanOrEqual(2);
	await run("1,10\n2,20\n3,30\n");
	expect(staged()).toEqual(expect.arrayContaining(first));
	expect(staged().length).toBeGreaterThan(first.length);
	const longAgo = new Date(Date.now() - 3 * 3600_000);
	for (const path of staged()) utimesSync(path, longAgo, longAgo);
	await run("1,10\n2,20\n3,30\n4,40\n");
	for (const path of first) expect(staged()).not.toContain(path);
	expect(staged().length).toBeGreaterThanOrEqual(2);
});
