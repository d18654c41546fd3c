import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type GlueStandIn, startGlueStandIn } from "../stand-ins/glue/index.ts";
import { type S3StandIn, startS3StandIn } from "../stand-ins/s3/index.ts";
import { type Envelope, headrace } from "./cli.ts";

let s3: S3StandIn;
let glue: GlueStandIn;
let project: string;
beforeAll(async () => {
	s3 = await startS3StandIn();
	// One user for both: the lake's keys are Glue's too.
	glue = await startGlueStandIn(s3);
	project = mkdtempSync(join(tmpdir(), "headrace-lake-cli-"));
	mkdirSync(join(project, "pipelines"));
	mkdirSync(join(project, "data"));
	writeFileSync(join(project, "data/orders.csv"), "id,day,total\n1,2024-01-31,1.50\n2,2024-02-01,\n");
	const keys = `access_key_id: ${s3.accessKeyId}, secret_access_key: "${s3.secretAccessKey}"`;
	writeFileSync(
		join(project, "connections.yaml"),
		`data: ./data
lake: { type: lake, bucket: lake, prefix: l, region: us-east-1, endpoint: "${s3.endpoint}", path_style: true, ${keys}, partition_by: [month(day)], glue: { endpoint: "${glue.endpoint}" } }
`,
	);
	writeFileSync(
		join(project, "pipelines/lake.yaml"),
		"pipeline: lake\nfrom: data\nto: lake\ntables:\n  orders: { mode: full, write: append, into: shop.orders }\n",
	);
});
afterAll(async () => {
	await s3[Symbol.asyncDispose]();
	await glue[Symbol.asyncDispose]();
	rmSync(project, { recursive: true, force: true });
});

const data = (stdout: string) => (JSON.parse(stdout) as Envelope).data as Record<string, never>;

test("from a file into the stand-ins of S3 and Glue by the command line: check, plan, grants, run, compact", async () => {
	const call = async (...args: string[]) => {
		const result = await headrace([...args, "--json"], { cwd: project });
		expect(result.code, result.stdout + result.stderr).toBe(0);
		return data(result.stdout);
	};
	await call("check", "lake");
	expect(JSON.stringify(await call("plan", "lake"))).toContain("create shop.orders partitioned by month(day)");
	expect(JSON.stringify(await call("grants", "lake"))).toContain("table/data_lake/shop_orders");
	await call("run", "lake");
	await call("run", "lake");
	expect(glue.partitions("data_lake", "shop_orders").map(({ Values }) => Values)).toEqual([["2024-01"], ["2024-02"]]);
	const { tables } = await call("compact", "lake");
	expect(tables).toMatchObject([{ table: "shop.orders", files_before: 4, files_after: 2, rows: 4, given_up: 0 }]);
	const none = await headrace(["compact", "lake", "--table", "shop.none", "--json"], { cwd: project });
	expect(none.code).toBe(2);
	expect((JSON.parse(none.stdout) as Envelope).errors[0]!.code).toBe("E_UNKNOWN_TABLE");
});

test("checks of a lake's table are asked of its new rows, those of before among them, before anyone sees them", async () => {
	const checked = (check: string) =>
		writeFileSync(
			join(project, "pipelines/checked.yaml"),
			`pipeline: checked\nfrom: data\nto: lake\nretries: 0\ntables:\n  orders: { mode: full, write: append, into: shop.checked }\nchecks:\n  - { table: shop.checked, ${check} }\n`,
		);
	const run = () => headrace(["run", "checked"], { cwd: project });
	checked("unique: [id], rows: '= 2'");
	expect(await run()).toMatchObject({ code: 0 });
	const again = await run();
	expect(again.code).toBe(1);
	expect(again.stderr).toMatch(/E_CHECK.*it has 4 rows, not = 2.*4 of 4 rows/);
	checked('sql: "SELECT * FROM {{ this }} WHERE total > 2"');
	expect(await run()).toMatchObject({ code: 0 });
	checked("rows: '= 4'");
	const last = await run();
	expect(last.stderr).toContain("it has 6 rows, not = 4");
});
