import { createHash } from "node:crypto";
import { HeadraceError } from "./errors.ts";

/**
 * How far a table has been read by its cursor. `value` is where the next read begins (included): it never passes a
 * transaction that was open when it was made, nor the source's clock less `late`. `max` is the highest value seen.
 */
export interface CursorPosition {
	readonly kind: "cursor";
	readonly column: string;
	readonly value: string | null;
	readonly max: string | null;
	/** The transaction mark of the cut at which `max` was seen, as `<kind>:<now>`: see Snapshot.transactions. */
	readonly mark?: string;
}

/** A whole table as of a cut. */
export interface FullPosition {
	readonly kind: "full";
	/** The source's clock at the cut. */
	readonly at: string;
	/** The cut's place in the change log, for a table that follows it. */
	readonly log?: string;
}

/** An interval, loaded. */
export interface IntervalPosition {
	readonly kind: "interval";
	readonly start: string;
	readonly end: string;
}

/** Files of a folder that are loaded, by content stamp. */
export interface FilesPosition {
	readonly kind: "files";
	readonly files: Readonly<Record<string, string>>;
}

/** How far a change log has been applied to the tables of a pipeline that follow it. */
export interface ChangesPosition {
	readonly kind: "changes";
	/** The log's own position: reading goes on after it. */
	readonly at: string;
	/** When the last transaction before it was committed: microseconds since 1970 by the source's clock, as text. */
	readonly committedAt?: string;
	/** Tables that follow the log, as `schema.name`. */
	readonly tables: Readonly<Record<string, FollowedTable>>;
}

/** Where a table stands, as far as it differs from the pipeline's position. */
export interface FollowedTable {
	/** Changes up to this position are in the table already: they are passed over. */
	readonly from?: string;
	/** Rows were read up to this position: until then changes may be in the table already. */
	readonly until?: string;
	/**
	 * Times of the changes that it has yet to get are not before this one, whatever the log says: microseconds since 1970,
	 * as text. Absent: what `committedAt` says of all tables is enough.
	 */
	readonly since?: string;
	/** While it is `loading`: the `seq` that its own position row had when that began; its rows are there once it is higher. */
	readonly seq?: number;
	/** `loading`: its rows are being read, and are not all there. `paused`: its changes are not applied. */
	readonly state?: "loading" | "paused";
}

export type Position = CursorPosition | FullPosition | IntervalPosition | FilesPosition | ChangesPosition;

/** One line of JSON with its keys in a fixed order, so that equal positions are equal text. */
export function encodePosition(position: Position): string {
	return JSON.stringify(position, (_key, value: unknown) =>
		value !== null && typeof value === "object" && !Array.isArray(value)
			? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
			: value,
	);
}

/** @throws E_STATE when the text is not a position: it is never guessed. */
export function decodePosition(text: string): Position {
	try {
		const value = JSON.parse(text) as Position;
		if (
			value !== null &&
			typeof value === "object" &&
			["cursor", "full", "interval", "files", "changes"].includes(value.kind)
		)
			return value;
	} catch {
		// falls through to the error
	}
	throw new HeadraceError("E_STATE", "the destination's _headrace.positions holds a position that can't be read");
}

/** The position as people read it: the cursor value, the interval, or the time of a full copy. */
export function positionText(position: Position): string | null {
	switch (position.kind) {
		case "cursor":
			return position.value;
		case "full":
			return position.at;
		case "interval":
			return `${position.start}/${position.end}`;
		case "changes":
			return position.at;
		case "files":
			return `${Object.keys(position.files).length} files`;
	}
}

/** Names one load: a retry of the same range of the same table gets the same name. */
export function loadId(parts: {
	readonly pipeline: string;
	readonly stream: string;
	readonly seq: number;
	readonly from: string | null;
	readonly to: string;
	readonly schemaVersion: string;
}): string {
	const text = [parts.pipeline, parts.stream, String(parts.seq), parts.from ?? "", parts.to, parts.schemaVersion]
		.map((part) => `${part.length}:${part}`)
		.join("|");
	return createHash("sha256").update(text).digest("hex").slice(0, 26);
}
