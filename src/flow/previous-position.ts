import { decodePosition, type Position, type PositionRow } from "../core/index.ts";

/** The position of a row, null when nothing was loaded yet. */
export function previousPosition(row: PositionRow): Position | null {
	return row.position === null ? null : decodePosition(row.position);
}
