import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ChangeLogFixture, FixtureTable } from "../../src/conformance/index.ts";
import { createFileDestination, createFileSource } from "../../src/connectors/file/index.ts";
import {
	type ChangeLog,
	DEFAULT_TYPE_POLICY,
	type Destination,
	HeadraceError,
	qualified,
	type Source,
	type TableName,
} from "../../src/core/index.ts";
import {
	CHANGES_STREAM,
	captureChanges,
	changeTarget,
	type FlowContext,
	recordOf,
	type TableTask,
} from "../../src/flow/index.ts";
import { memorySourceFixture } from "./memory-support.ts";

const LANDING = { write: "append", deletes: "hard", beforeImages: true } as const;

/** The task of a table as a plan makes it. */
async function archivingTask(source: Source, destination: Destination, name: TableName): Promise<TableTask> {
	const [table] = await source.describe([{ table: name, types: DEFAULT_TYPE_POLICY }]);
	const { columns, primaryKey } = table!;
	const own = columns.map(({ name, type, nullable }) => {
		return { name, type, nullable, destinationType: destination.mapType(type).destinationType };
	});
	const record = columns.map((column, ordinal) =>
		recordOf(
			{ ...column, target: column.name, sourceType: column.nativeType, ordinal: ordinal + 1 },
			primaryKey,
			column.type,
		),
	);
	return {
		stream: qualified(name),
		table: table!,
		columns,
		types: DEFAULT_TYPE_POLICY,
		schema: { stream: qualified(name), columns: record },
		target: changeTarget({ name, columns: own, key: primaryKey }, LANDING, destination),
		mode: "cdc",
		...LANDING,
		allowEmpty: true,
		fullRefresh: false,
		schemaVersion: createHash("sha256").update(JSON.stringify(record)).digest("hex").slice(0, 12),
		timezone: "UTC",
	};
}

/** Archives what the log of a database in memory has not told yet; `folder` is for what memory has no room for. */
export async function archive(
	source: Source,
	destination: Destination,
	tables: readonly TableName[],
	folder: string,
): Promise<void> {
	const log = source.changeLog!;
	const tasks = await Promise.all(tables.map((name) => archivingTask(source, destination, name)));
	const streams = [CHANGES_STREAM, ...tasks.map(({ stream }) => stream)];
	const flow: FlowContext = {
		pipeline: "keep",
		runId: "run",
		source,
		destination,
		staging: null,
		format: null,
		formats: [],
		stage: "all",
		bufferBytesMax: 8 << 20,
		readers: 1,
		onEvent: () => {},
	};
	await captureChanges(
		{
			...flow,
			log,
			changes: destination.changes!,
			reader: "keep",
			flush: { seconds: 1, rows: 1_000_000, bytes: 1e9 },
			temporaryDirectory: folder,
			follow: false,
			concurrency: 1,
			tableContext: () => flow,
			replan: async () => tasks,
			onOutcome: () => {},
			takeOver: (names) => destination.takeOver("keep", names),
		},
		tasks,
		await destination.takeOver("keep", streams),
	);
}

/**
 * A database in memory whose changes are archived in a folder, and the folder's log: archived up to the database's end
 * when the log's end is asked for, and after each commit while somebody waits for more.
 */
export async function archiveFixture(): Promise<ChangeLogFixture> {
	const memory = await memorySourceFixture(undefined, { beforeImages: "key", toasted: [] });
	const root = await mkdtemp(join(tmpdir(), "headrace-archive-"));
	const folder = join(root, "archive");
	const destination = await createFileDestination({ path: folder, temporaryDirectory: join(root, "tmp") });
	const tables: TableName[] = [];
	let files: Source | null = null;
	let waiting = 0;
	let last = Promise.resolve();
	const archived = () => {
		last = last.then(() => archive(memory.source, destination, tables, root));
		return last;
	};
	const opened = async (): Promise<Source> => {
		files ??= await createFileSource({ path: folder, temporaryDirectory: join(root, "engine") });
		return files;
	};
	const log = async () => (await opened()).changeLog!;
	let own: ChangeLog | null = null;
	const known = (): ChangeLog => {
		if (own === null) throw new HeadraceError("E_INTERNAL", "nothing was archived yet");
		return own;
	};
	const changeLog: ChangeLog = {
		end: async () => {
			await archived();
			own = await log();
			return own.end();
		},
		beginning: () => known().beginning(),
		compare: (a, b) => known().compare(a, b),
		format: (position) => known().format(position),
		parse: (text) => known().parse(text),
		open: async (request) => {
			const stream = await known().open(request);
			if (request.until === undefined) {
				waiting++;
				await archived();
			}
			return stream;
		},
		headroom: async (from) => {
			await archived();
			return known().headroom(from);
		},
		check: (asked) => known().check(asked),
	};
	return {
		...memory,
		source: {
			...memory.source,
			defaultSchema: "",
			listTables: async () => (await opened()).listTables(),
			describe: async (requests) => {
				await archived();
				return (await opened()).describe(requests.map((request) => ({ ...request, forLog: true })));
			},
			snapshot: async (options) => (await opened()).snapshot(options),
			changeLog,
		} as Source,
		createTable: async (table: FixtureTable) => {
			await memory.createTable(table);
			tables.push(table.name);
		},
		begin: async () => {
			const writer = await memory.begin();
			const commit = async () => {
				await writer.commit();
				if (waiting > 0) await archived();
			};
			return { ...writer, commit };
		},
		[Symbol.asyncDispose]: async () => {
			await files?.[Symbol.asyncDispose]();
			await destination[Symbol.asyncDispose]();
			await rm(root, { recursive: true, force: true });
		},
	};
}
