import {
	type Field,
	HeadraceError,
	parseColumnType,
	qualified,
	type TableName,
	type TargetTable,
} from "../../core/index.ts";
import { oldNameOf } from "../../engine/index.ts";
import type { FileWriter } from "./file-writer.ts";
import { type PartitionColumn, parsePartition, partitionsOf } from "./partition.ts";
import type { LakeFile, TableForm, TableState } from "./table-state.ts";
import { readsAs } from "./types.ts";

/** A table's columns and folders after a load, and its columns before. */
export interface Shape {
	readonly fields: readonly Field[];
	readonly levels: readonly PartitionColumn[];
	readonly known: readonly Field[] | null;
	readonly isReplace: boolean;
}

/**
 * The folders of a table: those that it has, or those of `partition_by` when its form is null.
 * @throws E_UNSUPPORTED when `partition_by` wants others than it has
 */
export function levelsAfter(
	form: TableForm | null,
	partitionBy: readonly string[],
	fields: readonly Field[],
	name: TableName,
): PartitionColumn[] {
	const wanted = partitionsOf(partitionBy, fields);
	const levels = form === null ? wanted : form.partition_by.map(parsePartition);
	const [has, wants] = [levels, wanted].map((columns) => columns.map(({ text }) => text).join(", "));
	if (partitionBy.length > 0 && has !== wants)
		throw new HeadraceError(
			"E_UNSUPPORTED",
			`${qualified(name)} is partitioned by ${has || "nothing"}, not by ${wants || "nothing"}`,
			{ hint: "Load it anew with --full-refresh, or write partition_by as it was." },
		);
	return levels;
}

/**
 * Files whose columns no reader would take for the table's: of another type, renamed, or with values to fill in.
 * `targets` are what asked for the new columns.
 */
export function filesToRewrite(
	state: TableState,
	{ known, fields }: Pick<Shape, "known" | "fields">,
	targets: readonly TargetTable[],
): LakeFile[] {
	const old = known ?? [];
	const isNew = (name: string) => !old.some((field) => field.name === name);
	const isRenamed = fields.some(
		({ name }) => isNew(name) && targets.some((target) => oldNameOf(name, target, old) !== name),
	);
	const isFilled = targets.some(({ columns }) =>
		columns.some(({ name, fill, defaultSql }) => fill === true && defaultSql !== undefined && isNew(name)),
	);
	if (isRenamed || isFilled) return [...state.files];
	const stale = new Set(
		Object.entries(state.schemas)
			.filter(([, columns]) =>
				columns.some(({ name, type }) => {
					const field = fields.find((other) => other.name === name);
					return field !== undefined && !readsAs(parseColumnType(type)!, field.type);
				}),
			)
			.map(([schema]) => schema),
	);
	return state.files.filter((file) => stale.has(file.schema));
}

/** The files that go: a file without rows, by `writeEmpty`, stands in while there is no other, and goes with the first. */
export async function removedWithEmpty(
	writer: FileWriter,
	removed: readonly LakeFile[],
	files: readonly LakeFile[],
	writeEmpty: () => Promise<void>,
): Promise<readonly LakeFile[]> {
	const gone = new Set(removed);
	const left = files.filter((file) => !gone.has(file));
	if (writer.hasFiles) return [...removed, ...left.filter((file) => file.rows === 0)];
	if (left.length === 0) await writeEmpty();
	return removed;
}
