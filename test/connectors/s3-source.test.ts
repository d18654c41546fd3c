import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createFileSource } from "../../src/connectors/file/index.ts";
import { createS3FileStore, identityPolicy } from "../../src/connectors/s3/index.ts";
import { DEFAULT_TYPE_POLICY, HeadraceError, qualified, type Source } from "../../src/core/index.ts";
import { Engine } from "../../src/engine/index.ts";
import { valueText } from "../../src/formats/index.ts";
import { s3Connection } from "../faults/crash-support.ts";
import { Project } from "../faults/project.ts";
import { queryWarehouse } from "../faults/warehouse.ts";
import { type S3Place, s3Place } from "./s3-support.ts";

let place: S3Place;
const open: Source[] = [];
beforeEach(async () => {
	place = await s3Place();
});
afterEach(async () => {
	for (const source of open.splice(0)) await source[Symbol.asyncDispose]();
	expect(await readdir(place.temporaryDirectory)).toEqual([]);
	await place[Symbol.asyncDispose]();
});

const put = (key: string, content: string | Uint8Array) => place.s3.put("lake", key, content);

async function sourceOf(path: string, credentials?: { accessKeyId: string; secretAccessKey: string }): Promise<Source> {
	const store = createS3FileStore(place.options({ prefix: path }, credentials));
	const source = await createFileSource({ path, store, temporaryDirectory: place.temporaryDirectory });
	open.push(source);
	return source;
}

const typesOf = () => ({ ...DEFAULT_TYPE_POLICY });

/** Rows of a table as lines. */
async function rowsOf(source: Source, name: string, files?: readonly string[]): Promise<string[]> {
	const [table] = await source.describe([{ table: { schema: "", name }, types: typesOf() }]);
	await using snapshot = await source.snapshot({ readers: 1 });
	const lines: string[] = [];
	const request = { table: table!, columns: table!.columns, types: typesOf() };
	for await (const batch of snapshot.read(files === undefined ? request : { ...request, files })) {
		for (let row = 0; row < batch.rowCount; row++)
			lines.push(batch.columns.map((column) => valueText(column, row) ?? "∅").join("|"));
		batch.release();
	}
	return lines;
}

const tablesOf = async (source: Source) => (await source.listTables()).map(qualified);

async function parquet(sql: string): Promise<Buffer> {
	const folder = await mkdtemp(join(tmpdir(), "headrace-parquet-"));
	try {
		await using engine = await Engine.open({ allowedDirectories: [folder] });
		await using connection = await engine.connect();
		await connection.execute(`COPY (${sql}) TO '${folder}/x.parquet' (FORMAT parquet)`);
		return await readFile(join(folder, "x.parquet"));
	} finally {
		await rm(folder, { recursive: true, force: true });
	}
}

describe("files in the S3 stand-in as a source", () => {
	it("a folder has a table for each file and each folder in it; hidden and foreign ones are passed over", async () => {
		await put("in/orders.csv", "id,name\n1,a\n2,\n");
		await put("in/visits/2026/a.jsonl.gz", gzipSync('{"id":1}\n'));
		await put("in/visits/2026/b.jsonl.zst", zstdCompressSync('{"id":2}\n'));
		await put("in/big.parquet", await parquet("SELECT 7::BIGINT AS n, 1.50::DECIMAL(10,2) AS d"));
		for (const key of ["in/_tmp/x.csv", "in/.hidden.csv", "in/readme.md", "in/folder/", "india/x.csv"])
			await put(key, "x\n1\n");
		const source = await sourceOf("in/");
		expect(await tablesOf(source)).toEqual(["big", "orders", "visits"]);
		expect(await rowsOf(source, "orders")).toEqual(["1|a", "2|∅"]);
		expect(await rowsOf(source, "visits")).toEqual(["1", "2"]);
		expect(await rowsOf(source, "big")).toEqual(["7|1.50"]);
		expect((await source.check()).map(({ severity }) => severity)).toEqual(["ok", "warning"]);
	});

	it("an address may be a file, a pattern, or the bucket", async () => {
		await put("in/a b.csv", "id\n1\n");
		await put("in/2026/a.csv", "id\n2\n");
		await put("in/2026/b.csv", "id\n3\n");
		await put("in/2026/b.txt", "id\n4\n");
		expect(await rowsOf(await sourceOf("in/a b.csv"), "a b")).toEqual(["1"]);
		expect(await rowsOf(await sourceOf("in/2026/*.csv"), "2026")).toEqual(["2", "3"]);
		expect(await tablesOf(await sourceOf(""))).toEqual(["in"]);
		for (const path of ["none", "in/*.parquet", "in/none.csv"])
			await expect((await sourceOf(path)).listTables()).rejects.toMatchObject({ code: "E_FILE_NOT_FOUND" });
	});

	it("each file is brought here once, and a file that is replaced while it is read is E_CONFLICT", async () => {
		await put("in/t/1.csv", "id\n1\n");
		await put("in/t/2.csv", "id\n2\n");
		const source = await sourceOf("in");
		expect(await rowsOf(source, "t")).toEqual(["1", "2"]);
		expect(place.s3.log.filter(({ operation }) => operation === "GetObject")).toHaveLength(2);
		place.s3.faults.add({
			operation: "GetObject",
			key: /2\.csv$/,
			effect: { kind: "before", run: () => put("in/t/2.csv", "id\n9\n") },
		});
		await put("in/t/2.csv", "id\n3\n");
		const error: unknown = await rowsOf(await sourceOf("in"), "t").catch((thrown: unknown) => thrown);
		expect(error).toBeInstanceOf(HeadraceError);
		expect(error).toMatchObject({ code: "E_CONFLICT", reaction: "retry" });
		expect(await rowsOf(await sourceOf("in"), "t")).toEqual(["1", "9"]);
	});

	it("a damaged file is named by its address", async () => {
		await put("in/t.parquet", "PAR1 this is none");
		await expect(rowsOf(await sourceOf("in"), "t")).rejects.toMatchObject({
			code: "E_CORRUPT_FILE",
			message: expect.stringContaining("s3://lake/in/t.parquet"),
		});
	});

	it("reads with the rights that are printed for it, and not with less", async () => {
		await put("in/t.csv", "id\n1\n");
		for (const prefix of ["in/", "in/t.csv", "in/*.csv"]) {
			const policy = identityPolicy({ bucket: "lake", prefix }, "read");
			const name = prefix.includes("*") ? "in" : "t";
			expect(await rowsOf(await sourceOf(prefix, place.s3.addUser("reader", policy)), name)).toEqual(["1"]);
			for (const index of policy.Statement.keys()) {
				const less = { ...policy, Statement: policy.Statement.filter((_, at) => at !== index) };
				const source = await sourceOf(prefix, place.s3.addUser("reader", less));
				await expect(rowsOf(source, name)).rejects.toMatchObject({ code: "E_RIGHTS" });
			}
		}
	});

	it("grants prints the policies that a pipeline needs", async () => {
		await put("in/t/1.csv", "id\n1\n");
		using project = new Project({
			"connections.yaml": `${s3Connection(place.s3)}files: ${s3Connection(place.s3).slice("lake: ".length).replace("staging/", "in/")}`,
			"pipelines/files.yaml": "from: files\nto: duckdb:copy.duckdb\nstaging: lake\ntables: { t: { mode: full } }\n",
		});
		const { code, stdout } = await project.run("grants", "files");
		expect(code, stdout).toBe(0);
		const { connections } = JSON.parse(stdout).data;
		const policies = connections.map(({ grants }: { grants: { text: string }[] }) =>
			grants.map(({ text }) => JSON.parse(text)),
		);
		expect(policies[0][0]).toEqual(identityPolicy({ bucket: "lake", prefix: "in/" }, "read"));
		expect(policies[1][0]).toEqual(identityPolicy({ bucket: "lake", prefix: "staging/" }, "stage"));
		expect(policies[1][1].Statement[0].Condition).toEqual({ Bool: { "aws:SecureTransport": "false" } });
		expect(policies[2]).toEqual([]);
		expect(place.s3.keys("lake")).toEqual(["in/t/1.csv"]);
	});

	it("a pipeline reads new and changed files only", async () => {
		await put("in/t/1.csv", "id,v\n1,a\n");
		using project = new Project({
			"connections.yaml": `${s3Connection(place.s3).replace("lake:", "files:").replace("staging/", "in/")}copy: duckdb:warehouse.duckdb\n`,
			"pipelines/files.yaml":
				"from: files\nto: copy\nretries: 0\ntables:\n  t: { mode: incremental, key: id, write: merge, into: main.t }\n",
		});
		const rows = async () =>
			(await queryWarehouse(project.path("warehouse.duckdb"), "SELECT id || v AS r FROM main.t ORDER BY 1")).map(
				({ r }) => r,
			);
		await project.succeed("run", "files");
		await put("in/t/2.csv", "id,v\n2,b\n");
		const [second] = await project.succeed("run", "files");
		expect([await rows(), second?.tables[0]?.rows_read]).toEqual([["1a", "2b"], 1]);
		await put("in/t/1.csv", "id,v\n1,c\n");
		const [third] = await project.succeed("run", "files");
		expect([await rows(), third?.tables[0]?.rows_read]).toEqual([["1c", "2b"], 1]);
		expect((await project.succeed("run", "files"))[0]?.tables[0]?.rows_read).toBe(0);
		expect(project.files(".headrace/tmp")).toEqual([]);
	});
});
