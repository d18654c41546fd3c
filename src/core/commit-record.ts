import type {
	ApplyRequest,
	ApplyResult,
	LoadResult,
	PositionExpected,
	PositionMove,
	PositionRow,
} from "./destination.ts";
import { HeadraceError } from "./errors.ts";
import { qualified } from "./table.ts";

/** Another run has moved a stream's position, or taken the stream over. */
export function fenced({ pipeline, stream }: Pick<PositionExpected, "pipeline" | "stream">): HeadraceError {
	return new HeadraceError(
		"E_FENCED",
		`the position of ${stream} is no longer the one this run began with: another run has moved it`,
		{ pipeline, table: stream },
	);
}

/** The compare of the compare-and-set, where no statement does it; gives the row. @throws E_FENCED */
export function expectedRow<Row extends Pick<PositionRow, "epoch" | "seq" | "position">>(
	row: Row | null | undefined,
	request: PositionExpected,
): Row {
	if (row?.epoch !== request.epoch || row.seq !== request.seq || row.position !== request.fromPosition)
		throw fenced(request);
	return row;
}

/** What becomes a row of `_headrace.loads`. */
export interface RecordedLoad {
	readonly loadId: string;
	/** The table, or the stream of changes. */
	readonly table: string;
	readonly result: Pick<LoadResult, "rowsInserted" | "rowsUpdated" | "rowsDeleted">;
}

/** Of a transaction that applies changes: one for the request, with no rows of its own, then one for each part. */
export function loadsOfApply(request: ApplyRequest, { parts }: ApplyResult): RecordedLoad[] {
	const none = { rowsInserted: 0, rowsUpdated: 0, rowsDeleted: 0 };
	return [
		{ loadId: request.loadId, table: request.stream, result: none },
		...request.parts.map(({ loadId, target }, index) => {
			return { loadId, table: qualified(target.name), result: parts[index]! };
		}),
	];
}

/** A row of `_headrace.loads` in the files of a destination that has no tables for it. */
export interface CommittedLoad {
	readonly load_id: string;
	readonly pipeline: string;
	readonly table_name: string;
	readonly from_position: string | null;
	readonly to_position: string;
	readonly rows_inserted: number;
	readonly rows_updated: number;
	readonly rows_deleted: number;
	readonly committed_at: string;
}

export function committedLoad(
	{ pipeline, fromPosition, toPosition }: PositionMove,
	{ loadId, table, result }: RecordedLoad,
	committedAt: string,
): CommittedLoad {
	return {
		load_id: loadId,
		pipeline,
		table_name: table,
		from_position: fromPosition,
		to_position: toPosition,
		rows_inserted: result.rowsInserted,
		rows_updated: result.rowsUpdated,
		rows_deleted: result.rowsDeleted,
		committed_at: committedAt,
	};
}
