import {
	type CompactedTable,
	type CompactRequest,
	crashPoint,
	eachOf,
	HeadraceError,
	type Staging,
} from "../../core/index.ts";
import { duckdbType, type EngineConnection } from "../../engine/index.ts";
import { duckdbDialect } from "../../sql/index.ts";
import { type LakeResources, memoryOf, withEngine } from "./engine.ts";
import { FileWriter } from "./file-writer.ts";
import { withLocal } from "./local-files.ts";
import { parsePartition, partitionPath } from "./partition.ts";
import { relationOf } from "./relation.ts";
import type { LakeTable } from "./table.ts";
import { fieldsOf, type LakeFile, schemaName, type TableState } from "./table-state.ts";

/** A file that no commit names and that is so old has no process that could still commit it. */
const ORPHAN_AGE_MS = 7 * 24 * 3600 * 1000;
/** A file of less than this part of the target is small. */
const SMALL_SHARE = 0.5;
/** Bytes that a row takes in memory for each that it has in the file, about. */
const MEMORY_FACTOR = 6;

/** Groups that are worked on at once: rows that keep their order are read and written by little more than one thread. */
const LANES_MAX = 2;

const { quoteIdentifier, quoteLiteral } = duckdbDialect;

/**
 * Puts small files of a table together, and files whose columns are not the table's into its form: each group of files
 * in one commit, which takes them out and puts the new one in. A group of which a load took a file out meanwhile is
 * given up. Rows keep the order of their files, and those the order of the key where its range is known.
 */
export async function compactTable(
	store: Staging,
	resources: LakeResources,
	table: LakeTable,
	request: CompactRequest,
	finish: (state: TableState) => Promise<void>,
): Promise<CompactedTable | null> {
	const began = performance.now();
	const state = await table.head();
	if (state === null || state.form === null) return null;
	const before = { filesBefore: state.files.length, bytesBefore: sumBytes(state.files) };
	return withEngine(resources, async (connection, engine) => {
		const groups = await groupsOf(connection, state, request.targetBytes);
		let filesAfter = before.filesBefore;
		let bytesAfter = before.bytesBefore;
		let rows = 0;
		let givenUp = 0;
		const compactOne = async (lane: EngineConnection, group: readonly LakeFile[]) => {
			if (request.signal?.aborted === true) throw new HeadraceError("E_STOPPED", "stopped between two groups of files");
			const groupRows = group.reduce((sum, file) => sum + file.rows, 0);
			if (request.dryRun === true) {
				filesAfter -= group.length - 1;
				rows += groupRows;
				return;
			}
			const added = await compactGroup(store, resources, { connection: lane, table, state, group });
			if (added === null) {
				givenUp++;
				return;
			}
			filesAfter += added.length - group.length;
			bytesAfter += sumBytes(added) - sumBytes(group);
			rows += groupRows;
		};
		await eachOf(LANES_MAX, groups, async (group) => {
			await using lane = await engine.connect();
			await compactOne(lane, group);
		});
		const orphans = await table.orphans(state, new Date(Date.now() - ORPHAN_AGE_MS));
		if (request.dryRun !== true) {
			if (orphans.length > 0) await store.remove(orphans);
			const head = await table.head();
			if (head !== null) await finish(head);
		}
		const seconds = (performance.now() - began) / 1000;
		return {
			table: table.name,
			...before,
			filesAfter,
			bytesAfter,
			rows,
			givenUp,
			orphansRemoved: orphans.length,
			seconds,
		};
	});
}

/** One group into one file. Null when a load was faster. */
async function compactGroup(
	store: Staging,
	resources: LakeResources,
	work: {
		readonly connection: EngineConnection;
		readonly table: LakeTable;
		readonly state: TableState;
		readonly group: readonly LakeFile[];
	},
): Promise<readonly LakeFile[] | null> {
	const { connection, table, state, group } = work;
	const form = state.form!;
	const fields = fieldsOf(form.columns);
	const writer = new FileWriter({
		store,
		folder: table.folder,
		name: "compact",
		fields,
		levels: form.partition_by.map(parsePartition),
		ranged: form.ranged,
		engineMemoryBytes: memoryOf(resources),
	});
	const rows = group.reduce((sum, file) => sum + file.rows, 0);
	try {
		await withLocal(store, group, async (local) => {
			const rowBytes = (sumBytes(group) / Math.max(1, rows)) * MEMORY_FACTOR;
			await writer.copy(connection, relationOf(local, state.schemas, fields), {
				partition: group[0]!.partition,
				rows,
				rowBytes,
			});
		});
		await writer.settle();
	} catch (error) {
		await writer.discard();
		throw error;
	}
	crashPoint("lake-compact-built");
	const own = new Set(group.map(({ path }) => path));
	const wanted = JSON.stringify(form);
	let committed = false;
	const head = await table.commit((newest) => {
		const live = newest?.files.filter(({ path }) => own.has(path)).length;
		committed = newest !== null && live === group.length && JSON.stringify(newest.form) === wanted;
		return committed
			? { kind: "compact", added: writer.files, removed: [...own], rows: newest!.rows, streams: [] }
			: null;
	});
	if (!committed) await writer.discard();
	else crashPoint("lake-compact-committed");
	return committed && head !== null ? writer.files : null;
}

/** Files to put together: of one folder, in order, each group of about the target's size. */
async function groupsOf(connection: EngineConnection, state: TableState, targetBytes: number): Promise<LakeFile[][]> {
	const form = state.form!;
	const levels = form.partition_by.map(parsePartition);
	const own = schemaName(form.columns);
	const files = await inKeyOrder(
		connection,
		state,
		state.files.filter((file) => file.rows > 0 && (file.bytes < targetBytes * SMALL_SHARE || file.schema !== own)),
	);
	const groups: LakeFile[][] = [];
	for (const folder of Map.groupBy(files, ({ partition }) =>
		JSON.stringify([partitionPath(levels, partition), partition]),
	).values()) {
		let bytes = 0;
		let group: LakeFile[] = [];
		for (const file of folder) {
			if (group.length > 0 && bytes + file.bytes > targetBytes) {
				groups.push(group);
				group = [];
				bytes = 0;
			}
			group.push(file);
			bytes += file.bytes;
		}
		groups.push(group);
	}
	return groups.filter((group) => group.length > 1 || group[0]!.schema !== own);
}

/** By the least value of the key, or of another column whose range is known; files without one keep their place behind. */
async function inKeyOrder(
	connection: EngineConnection,
	state: TableState,
	files: readonly LakeFile[],
): Promise<LakeFile[]> {
	const { key, ranged, columns } = state.form!;
	const name = ranged.find((column) => column === key[0]) ?? ranged[0];
	const field = fieldsOf(columns).find((column) => column.name === name);
	if (field === undefined || files.length < 2) return [...files];
	const values = files.map((file, place) => {
		const least = file.ranges[field.name]?.[0] ?? null;
		return `(${place}, ${least === null ? "NULL" : quoteLiteral(least)})`;
	});
	const rows = await connection.query(
		`SELECT place FROM (VALUES ${values.join(", ")}) AS files(place, ${quoteIdentifier("least")}) ORDER BY CAST(least AS ${duckdbType(field.type)}) NULLS LAST, place`,
	);
	return rows.map((row) => files[Number(row["place"])]!);
}

const sumBytes = (files: readonly LakeFile[]) => files.reduce((sum, file) => sum + file.bytes, 0);
