/** Compaction of a lake's 1,000 files of 1 MB against DuckDB's own COPY of the same files. */
import { cpSync, linkSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createLakeDestination } from "../../src/connectors/lake/index.ts";
import { LakeTable } from "../../src/connectors/lake/table.ts";
import { type LakeFile, schemaName, storedColumns } from "../../src/connectors/lake/table-state.ts";
import { createLocalFolderStaging } from "../../src/connectors/local-folder/index.ts";
import { columnTypeOf } from "../../src/engine/index.ts";
import { openDuckdb } from "./duckdb.ts";
import { alternate, type Contestant, type Result } from "./measure.ts";
import { headraceCommand, repository } from "./routes.ts";
import type { Generated } from "./tables.ts";

const FILES = 1000;
const FILE_BYTES = 1_000_000;
const TABLE = { schema: "bench", name: "lineitem" };
const DATA = "bench.lineitem/data";

/** A lake whose table has 1,000 files of the benchmark's rows, over and over. */
async function makeLake(root: string, { reference, rows }: Generated): Promise<number> {
	const store = createLocalFolderStaging(root, { shared: true });
	await using lake = createLakeDestination({ store, localDirectories: [root] });
	const row = (await lake.takeOver("bench", ["lineitem"])).get("lineitem")!;
	mkdirSync(join(root, DATA), { recursive: true });
	await using duckdb = await openDuckdb(reference, { access_mode: "READ_ONLY" });
	const described = await duckdb.rows("SELECT column_name, column_type FROM (DESCRIBE lineitem)");
	const fields = described.map((column) => {
		const type = columnTypeOf(String(column["column_type"]));
		if (type === null) throw new Error(`${String(column["column_type"])} is no type of the lake`);
		return { name: String(column["column_name"]), type, nullable: true };
	});
	const copy = (from: number, to: number, path: string) =>
		duckdb.run(
			`COPY (SELECT * FROM lineitem WHERE rowid BETWEEN ${from} AND ${to - 1}) TO '${path}' (FORMAT parquet, COMPRESSION zstd)`,
		);
	const probe = join(root, "probe.parquet");
	await copy(0, 20_000, probe);
	const fileRows = Math.round((20_000 * FILE_BYTES) / statSync(probe).size);
	rmSync(probe);
	const distinct = Math.floor(rows / fileRows);
	const files: LakeFile[] = [];
	for (let number = 0; number < FILES; number++) {
		const path = `${DATA}/part-bench-${String(number).padStart(5, "0")}.parquet`;
		const place = join(root, path);
		const first = number % distinct;
		if (number < distinct) await copy(first * fileRows, (first + 1) * fileRows, place);
		else linkSync(join(root, files[first]!.path), place);
		const schema = schemaName(storedColumns(fields));
		files.push({ path, partition: [], rows: fileRows, bytes: statSync(place).size, sha256: "", schema, ranges: {} });
	}
	const total = fileRows * FILES;
	// A load like any other, but that its files are there already.
	const { epoch, stream } = row;
	await lake.load({
		pipeline: "bench",
		stream,
		loadId: "bench",
		epoch,
		seq: row.seq,
		fromPosition: row.position,
		toPosition: '{"kind":"full","at":"bench"}',
		schemaVersion: "1",
		target: { name: TABLE, columns: fields.map((field) => ({ ...field, destinationType: "" })), key: [] },
		write: "append",
		input: { kind: "batches", fields, batches: (async function* () {})() },
		bufferBytesMax: 1 << 20,
	});
	const table = new LakeTable(store, TABLE, { retentionMs: 0, transactionWaitMs: 0 });
	await table.commit((head) => ({
		kind: "load",
		added: files,
		removed: head!.files.map(({ path }) => path),
		rows: total,
		streams: [],
	}));
	return total;
}

export async function raceCompact(
	generated: Generated,
	folder: string,
	repeat: number,
	say: (line: string) => void,
): Promise<{ readonly results: Result[]; readonly base: string; readonly rows: number }> {
	const made = join(folder, "made");
	const rows = await makeLake(made, generated);
	const project = join(folder, "project");
	const lake = join(project, "lake");
	const out = join(folder, "out.parquet");
	mkdirSync(join(project, "pipelines"), { recursive: true });
	mkdirSync(join(project, "data"));
	writeFileSync(join(project, "connections.yaml"), "lake: lake:./lake\nfiles: ./data\n");
	writeFileSync(
		join(project, "pipelines/bench.yaml"),
		"pipeline: bench\nfrom: files\nto: lake\ntables:\n  lineitem: {}\n",
	);
	const fresh = () => {
		rmSync(lake, { recursive: true, force: true });
		cpSync(join(made, "_headrace"), join(lake, "_headrace"), { recursive: true });
		mkdirSync(join(lake, DATA), { recursive: true });
		for (let number = 0; number < FILES; number++) {
			const path = `${DATA}/part-bench-${String(number).padStart(5, "0")}.parquet`;
			linkSync(join(made, path), join(lake, path));
		}
	};
	const contestants: Contestant[] = [
		{
			name: "DuckDB COPY",
			command: {
				command: process.execPath,
				args: [join(repository, "scripts/benchmark/duckdb-copy.ts"), join(made, DATA), out],
				cwd: folder,
			},
			prepare: () => rmSync(out, { force: true }),
		},
		{
			name: "headrace",
			command: headraceCommand(["-C", project, "compact", "bench", "--json"], folder),
			prepare: fresh,
			examine: async ({ stdout }) => {
				const { data } = JSON.parse(stdout) as { data: { tables: { files_after: number; rows: number }[] } };
				const [table] = data.tables;
				if (table?.rows !== rows) throw new Error(`${table?.rows} rows of ${rows} were rewritten`);
				return `${FILES} files → ${table.files_after}`;
			},
		},
	];
	const results = await alternate(contestants, repeat, say);
	return { results, base: "DuckDB COPY", rows };
}
