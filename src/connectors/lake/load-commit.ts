import {
	committedLoad,
	crashPoint,
	expectedRow,
	HeadraceError,
	type LoadRequest,
	qualified,
	type TableName,
	timestampText,
} from "../../core/index.ts";
import type { BuiltFiles, BuiltLoad } from "./load-builder.ts";
import type { CommitBody } from "./table.ts";
import { type LakeFile, streamRow, type TableState } from "./table-state.ts";

/** The commit of a load on top of a head that may be newer than what it was built on. */
export function loadBody(
	head: TableState | null,
	base: TableState | null,
	request: LoadRequest,
	built: BuiltLoad,
): CommitBody {
	const { pipeline, stream, epoch, seq, loadId, toPosition, schemaVersion, schema, target } = request;
	const row = streamRow(head, pipeline, stream);
	if (row !== undefined) expectedRow(row, request);
	const after = headAfter(head, base, target.name, built);
	const committedAt = timestampText(BigInt(Date.now()) * 1000n);
	crashPoint("c09");
	return {
		...after,
		streams: [{ pipeline, stream, epoch, seq: seq + 1, position: toPosition, loadId, schemaVersion, committedAt }],
		load: committedLoad(request, { loadId, table: qualified(target.name), result: built.result }, committedAt),
		...(schema === undefined ? {} : { recorded: { ...schema, pipeline, version: schemaVersion, committedAt } }),
	};
}

/** What is built becomes a commit of the table, on top of a head that may be newer than its base. @throws E_CONFLICT */
export function headAfter(
	head: TableState | null,
	base: TableState | null,
	name: TableName,
	built: BuiltFiles,
): Pick<CommitBody, "kind" | "adds_only" | "form" | "added" | "removed" | "rows"> {
	const removed = new Set(removedFiles(head, base, name, built).map(({ path }) => path));
	const left = (head?.files ?? []).filter(({ path }) => !removed.has(path));
	return {
		kind: "load",
		adds_only: built.addsOnly,
		form: built.form,
		added: built.added,
		removed: [...removed],
		rows: [...left, ...built.added].reduce((sum, file) => sum + file.rows, 0),
	};
}

/**
 * The files that a load takes out of the head. What only adds agrees with all but a change of columns; what looked at
 * rows agrees with a compaction of other files, and with nothing else.
 * @throws E_CONFLICT
 */
export function removedFiles(
	head: TableState | null,
	base: TableState | null,
	name: TableName,
	built: BuiltFiles,
): readonly LakeFile[] {
	if (head === null || head.entry === base?.entry) return built.removed;
	const live = new Set(head.files.map(({ path }) => path));
	const there = built.removed.filter(({ path }) => live.has(path));
	const isSameForm = JSON.stringify(head.form) === JSON.stringify(base?.form ?? null);
	const conflict = new HeadraceError(
		"E_CONFLICT",
		`another load of ${qualified(name)} or a compaction was committed meanwhile`,
	);
	if (built.addsOnly) {
		// Of such a load only files without rows go, which another may have taken out before.
		if (!isSameForm) throw conflict;
		return there;
	}
	if (head.last.load > (base?.entry ?? 0)) throw conflict;
	if (built.replacesAll) return head.files;
	if (there.length < built.removed.length) throw conflict;
	return built.removed;
}
