import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { batchesOf, collect, type TextRow } from "../../src/conformance/rows.ts";
import { TYPE_SAMPLES } from "../../src/conformance/samples.ts";
import { fileType } from "../../src/connectors/redshift/target-types.ts";
import { type Column, TIMESTAMP_INFINITY, typeName } from "../../src/core/index.ts";
import { ParquetFormat } from "../../src/engine/index.ts";

async function written(type: Column["type"], values: readonly (string | null)[]): Promise<readonly TextRow[]> {
	const folder = await mkdtemp(join(tmpdir(), "headrace-stored-"));
	try {
		const fields = [{ name: "v", type, nullable: true }];
		const stored = [{ name: "v", type: fileType(type), nullable: true }];
		const format = new ParquetFormat();
		const paths: string[] = [];
		await format.write({
			fields,
			stored,
			batches: batchesOf(
				fields,
				values.map((value) => [value]),
			),
			nextPath: async () => join(folder, `${paths.length}.parquet`),
			written: async (path) => {
				paths.push(path);
			},
			bufferBytesMax: 1 << 24,
		});
		const rows: TextRow[] = [];
		for (const path of paths) rows.push(...(await collect(format.read(path, stored))));
		return rows;
	} finally {
		await rm(folder, { recursive: true, force: true });
	}
}

test.each(TYPE_SAMPLES.map(({ type, values }) => [typeName(type), type, values] as const))(
	"values of %s in files for a warehouse are the same text, in the plain type that the file has",
	async (_name, type, values) => {
		const rows = await written(type, [...values, null]);
		expect(rows.map(([value]) => value)).toEqual([...values, null]);
	},
);

test("an infinite time is no value of such a file: others would read it as one of the far future", async () => {
	const fields = [{ name: "at", type: { kind: "timestamp" }, nullable: true }] as const;
	const folder = await mkdtemp(join(tmpdir(), "headrace-stored-"));
	try {
		async function* batches() {
			for await (const batch of batchesOf(fields, [["2024-01-01 00:00:00"]])) {
				batch.columns[0]!.i64[0] = TIMESTAMP_INFINITY;
				yield batch;
			}
		}
		const write = new ParquetFormat().write({
			fields,
			stored: fields,
			batches: batches(),
			nextPath: async () => join(folder, "0.parquet"),
			written: async () => {},
			bufferBytesMax: 1 << 24,
		});
		await expect(write).rejects.toMatchObject({ code: "E_VALUE" });
	} finally {
		await rm(folder, { recursive: true, force: true });
	}
});
