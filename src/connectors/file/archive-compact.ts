import { randomBytes } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { type CompactedTable, type CompactRequest, crashPoint, HeadraceError } from "../../core/index.ts";
import { ENGINE_MEMORY_BYTES_DEFAULT, Engine, type EngineConnection } from "../../engine/index.ts";
import { duckdbDialect } from "../../sql/index.ts";
import { isArchive } from "./archive-columns.ts";
import { BuiltVersion, UNFINISHED_ENDING } from "./built-version.ts";
import { ChangeJournal, type JournalRecord, recordNumber } from "./change-journal.ts";
import { pathLiteral } from "./engine-paths.ts";
import { type FormatResources, ownTemporaryFolder } from "./formats.ts";
import type { StreamEntry, StreamLog } from "./stream-log.ts";
import { type CompactedFile, recordOfFile, type StoredColumn } from "./table-record.ts";
import { type CurrentTable, originOf, TableVersions } from "./table-versions.ts";

/** A file of less than this part of the target is small. */
const SMALL_SHARE = 0.5;
/** Bytes that a row takes in memory for each that it has in the file, about. */
const MEMORY_FACTOR = 6;
/** The part of the engine's memory that a group of rows may take. */
const GROUP_MEMORY_SHARE = 8;
const GROUP_ROWS_MIN = 2_048;
const GROUP_ROWS_MAX = 122_880;

export interface CompactContext {
	readonly root: string;
	readonly hidden: string;
	readonly resources: FormatResources;
}

/** What one record, or several that were put together before, have of a table: it is taken whole or not at all. */
interface Unit {
	/** Numbers of records. */
	readonly from: number;
	readonly to: number;
	/** In the order of their rows. */
	readonly names: readonly string[];
	readonly rows: number;
	readonly bytes: number;
	readonly columns: readonly StoredColumn[];
}

/** A table whose files may be put together. */
interface Compactable {
	readonly folder: string;
	readonly versions: TableVersions;
	readonly current: CurrentTable;
}

/**
 * Puts the small files of changes that a stream added to its tables together, in their order, with every row as it is.
 * Each table gets a version with the larger files, and one entry of the stream's log commits it, which moves no position.
 * The journal's records stay as they are and name the files that were: the version says which of its files holds what
 * some records name. Nobody else may add to the tables meanwhile.
 * @throws E_FENCED when somebody did
 */
export async function compactChanges(
	context: CompactContext,
	log: StreamLog,
	head: StreamEntry,
	request: CompactRequest,
): Promise<CompactedTable[]> {
	const compacted: CompactedTable[] = [];
	let entry = head;
	for (const [folder, origin] of Object.entries(head.journal?.origins ?? {}).sort()) {
		const versions = new TableVersions(context.root, folder);
		const current = await versions.current();
		if (current === null || originOf(current) !== origin || current.record.follows === undefined) continue;
		if (request.takes?.(current.record.table) === false) continue;
		const began = performance.now();
		const table = { folder, versions, current };
		const before = await filesOf(current);
		const units = isTaken(current) ? await unitsOf(context, entry, table, before) : [];
		const groups = groupsOf(units, request);
		let after = before;
		if (groups.length > 0 && request.dryRun !== true) {
			entry = await compactTable(context, log, entry, { table, groups, request });
			after = await filesOf((await versions.current())!);
		}
		const gone = request.dryRun === true ? groups.flat().flatMap(({ names }) => names).length - groups.length : 0;
		compacted.push({
			table: current.record.table,
			filesBefore: before.size,
			filesAfter: after.size - gone,
			bytesBefore: sum([...before.values()]),
			bytesAfter: sum([...after.values()]),
			rows: sum(groups.flat().map(({ rows }) => rows)),
			givenUp: 0,
			orphansRemoved: 0,
			seconds: (performance.now() - began) / 1000,
		});
	}
	return compacted;
}

function isTaken({ record }: CurrentTable): boolean {
	return record.format === "parquet" && isArchive(record);
}

function sum(numbers: readonly number[]): number {
	return numbers.reduce((a, b) => a + b, 0);
}

/** The bytes of each file by its name, in the order of their names. */
async function filesOf({ dataFolder }: CurrentTable): Promise<Map<string, number>> {
	const files = new Map<string, number>();
	for (const name of (await readdir(dataFolder)).sort())
		if (!name.endsWith(UNFINISHED_ENDING)) files.set(name, (await stat(join(dataFolder, name))).size);
	return files;
}

/** The table's files of changes in their order; null for what stays as it is, and parts those before from those behind. */
async function unitsOf(
	{ hidden }: CompactContext,
	entry: StreamEntry,
	{ folder, current: { record } }: Compactable,
	files: ReadonlyMap<string, number>,
): Promise<(Unit | null)[]> {
	const compacted = new Map((record.follows?.compacted ?? []).map((file) => [file.name, file]));
	const numbers = new Set([...files.keys()].flatMap((name) => (compacted.has(name) ? [] : (recordOfFile(name) ?? []))));
	const units = new Map<number, Unit>();
	const journal = new ChangeJournal(hidden, entry.pipeline, entry.stream);
	if (numbers.size > 0 && entry.journal !== undefined)
		for await (const written of journal.records(entry.journal, Math.min(...numbers))) {
			const unit = numbers.has(written.number) ? unitOf(written, folder) : null;
			if (unit !== null) units.set(written.number, unit);
		}
	const found = [
		...[...compacted.values()].map((file) => ({ from: file.from, unit: { ...file, names: [file.name] } })),
		...[...numbers].map((from) => ({ from, unit: units.get(from) ?? null })),
	];
	return found.sort((a, b) => a.from - b.from).map(({ unit }) => unit);
}

/** Null when its files are not of one form, or it is of an older version and does not tell its transactions. */
function unitOf({ number, seq, parts }: JournalRecord, folder: string): Unit | null {
	const own = parts.filter((part) => part.folder === folder);
	const [first, ...others] = own;
	const isOther = others.some(({ columns }) => JSON.stringify(columns) !== JSON.stringify(first?.columns));
	if (first === undefined || isOther || seq === undefined) return null;
	const files = own.flatMap((part) => part.files);
	return {
		from: number,
		to: number,
		names: files.map(({ name }) => name).sort(),
		rows: sum(files.map(({ rows }) => rows)),
		bytes: sum(own.map(({ bytes }) => bytes)),
		columns: first.columns,
	};
}

/** Neighbours of one form, each group of about the target's size. */
function groupsOf(units: readonly (Unit | null)[], { targetBytes }: CompactRequest): Unit[][] {
	const groups: Unit[][] = [];
	let group: Unit[] = [];
	let bytes = 0;
	const end = () => {
		if (group.flatMap(({ names }) => names).length > 1) groups.push(group);
		group = [];
		bytes = 0;
	};
	for (const unit of units) {
		const isSmall = unit !== null && unit.bytes < targetBytes * SMALL_SHARE;
		const isOther = JSON.stringify(unit?.columns) !== JSON.stringify(group[0]?.columns);
		if (!isSmall || isOther || bytes + unit.bytes > targetBytes) end();
		if (!isSmall) continue;
		group.push(unit);
		bytes += unit.bytes;
	}
	end();
	return groups;
}

async function compactTable(
	{ root, resources }: CompactContext,
	log: StreamLog,
	entry: StreamEntry,
	work: { readonly table: Compactable; readonly groups: readonly Unit[][]; readonly request: CompactRequest },
): Promise<StreamEntry> {
	const { folder, versions, current } = work.table;
	const { record, dataFolder } = current;
	const follows = record.follows!;
	const building = await BuiltVersion.begin(root);
	try {
		const { memoryBytes, temporaryDirectory } = ownTemporaryFolder(resources);
		const added: CompactedFile[] = [];
		{
			await using engine = await Engine.open({
				allowedDirectories: [dataFolder, building.dataFolder],
				...(memoryBytes === undefined ? {} : { memoryBytes }),
				...(temporaryDirectory === undefined ? {} : { tempDirectory: temporaryDirectory }),
			});
			await using connection = await engine.connect();
			for (const group of work.groups) {
				if (work.request.signal?.aborted === true)
					throw new HeadraceError("E_STOPPED", "stopped between two groups of files");
				added.push(await writeGroup(connection, { building, dataFolder, group, memoryBytes }));
			}
		}
		const replaced = new Set(work.groups.flat().flatMap(({ names }) => names));
		for (const name of (await filesOf(current)).keys())
			if (!replaced.has(name)) await building.adopt(join(dataFolder, name), name);
		const kept = (follows.compacted ?? []).filter(({ name }) => !replaced.has(name));
		const loadId = `compact-${randomBytes(10).toString("hex")}`;
		const { version: base, writer: _writer, ...rest } = record;
		const version = await versions.place(
			building,
			{
				...rest,
				files: record.files.filter(({ name }) => !replaced.has(name)),
				epoch: entry.epoch,
				load_id: loadId,
				follows: { ...follows, compacted: [...kept, ...added].sort((a, b) => a.from - b.from) },
			},
			base,
		);
		crashPoint("archive-compact-placed");
		const { epoch, seq, position, schemaVersion, committedAt, tables } = entry;
		const next = await log.append(entry, {
			...{ epoch, seq, position, schemaVersion, committedAt, loadId: entry.loadId },
			tables: { ...tables, [folder]: { version, load_id: loadId } },
		});
		crashPoint("archive-compact-committed");
		await versions.publish(version);
		return next;
	} catch (error) {
		if (error instanceof HeadraceError && error.code === "E_FENCED") await versions.withdraw(record.version + 1);
		throw error;
	} finally {
		await building.discard();
	}
}

/** @throws E_RECEIPT when the file does not hold what the others did */
async function writeGroup(
	connection: EngineConnection,
	work: {
		readonly building: BuiltVersion;
		readonly dataFolder: string;
		readonly group: readonly Unit[];
		readonly memoryBytes: number | undefined;
	},
): Promise<CompactedFile> {
	const { building, dataFolder, group, memoryBytes = ENGINE_MEMORY_BYTES_DEFAULT } = work;
	const [first, last] = [group[0]!, group.at(-1)!];
	const paths = group.flatMap(({ names }) => names.map((name) => join(dataFolder, name)));
	const rows = sum(group.map((unit) => unit.rows));
	const rowBytes = Math.max(1, (sum(group.map(({ bytes }) => bytes)) / Math.max(1, rows)) * MEMORY_FACTOR);
	const groupRows = memoryBytes / GROUP_MEMORY_SHARE / rowBytes;
	const rowGroup = Math.max(
		GROUP_ROWS_MIN,
		Math.min(GROUP_ROWS_MAX, Math.floor(groupRows / GROUP_ROWS_MIN) * GROUP_ROWS_MIN),
	);
	const name = `since-${recordNumber(first.from)}-${randomBytes(6).toString("hex")}-compacted.parquet`;
	const path = building.pathFor(name);
	const written = await connection.execute(
		`COPY (SELECT * FROM ${relation(paths)}) TO ${duckdbDialect.quoteLiteral(path)} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE ${rowGroup})`,
	);
	const isAlike = (await columnsText(connection, [path])) === (await columnsText(connection, paths.slice(0, 1)));
	if (written !== rows || !isAlike)
		throw new HeadraceError("E_RECEIPT", `${written} rows were written where the files of ${dataFolder} have ${rows}`, {
			file: dataFolder,
		});
	return {
		name,
		rows,
		from: first.from,
		to: last.to,
		columns: first.columns,
		bytes: (await stat(path)).size,
	};
}

function relation(paths: readonly string[]): string {
	return `read_parquet([${paths.map(pathLiteral).join(", ")}], binary_as_string = false, hive_partitioning = false)`;
}

async function columnsText(connection: EngineConnection, paths: readonly string[]): Promise<string> {
	return JSON.stringify(
		(await connection.query(`DESCRIBE SELECT * FROM ${relation(paths)}`)).map((row) => [
			row["column_name"],
			row["column_type"],
		]),
	);
}
