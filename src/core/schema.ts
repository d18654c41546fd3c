import { HeadraceError } from "./errors.ts";

/**
 * A column as a load recorded it in `_headrace.schemas`: what the source said of it, and how it landed. A run compares
 * the source with what was recorded last, so that it knows what changed and need not guess it from the table.
 */
export interface RecordedColumn {
	/** In the source. */
	readonly name: string;
	/** In the destination. */
	readonly target: string;
	readonly source_type: string;
	/** Canonical name of the type that the source's column has. */
	readonly type: string;
	/** Canonical name of the type that it lands as: a type that was wider before stays. */
	readonly landed: string;
	readonly nullable: boolean;
	/** Place in the key, from 1. */
	readonly key?: number;
	readonly default?: string;
	/** See SourceColumn.identity. */
	readonly identity?: string;
	/** Place in the source's table, from 1. */
	readonly ordinal: number;
	readonly collation?: string;
	/** The source no longer has it: the destination keeps the column, with NULL in new rows. */
	readonly dropped?: true;
	/** How often a change of type has given it a column of its own: `price__v2` is variant 2. */
	readonly variant?: number;
}

/** The columns of one stream as they were last recorded. */
export interface RecordedSchema {
	/** The table in the source; intervals of one table share it. */
	readonly stream: string;
	/** As LoadRequest.schemaVersion. */
	readonly version: string;
	readonly columns: readonly RecordedColumn[];
	readonly committedAt: string;
}

const KEYS = [
	"name",
	"target",
	"source_type",
	"type",
	"landed",
	"nullable",
	"key",
	"default",
	"identity",
	"ordinal",
	"collation",
	"dropped",
	"variant",
] as const satisfies readonly (keyof RecordedColumn)[];

/** One line of JSON with its keys in a fixed order, so that equal columns are equal text. */
export function encodeColumns(columns: readonly RecordedColumn[]): string {
	return JSON.stringify(
		columns.map((column) =>
			Object.fromEntries(KEYS.flatMap((key) => (column[key] === undefined ? [] : [[key, column[key]]]))),
		),
	);
}

/** @throws E_STATE when the text holds no columns: they are never guessed */
export function decodeColumns(text: string): RecordedColumn[] {
	try {
		const value = JSON.parse(text) as RecordedColumn[];
		if (Array.isArray(value) && value.every((column) => typeof column?.name === "string")) return value;
	} catch {
		// falls through to the error
	}
	throw new HeadraceError("E_STATE", "the destination's _headrace.schemas holds columns that can't be read");
}

/** What a run did about one column that changed in the source. */
export interface SchemaChange {
	/** By its name in the source; empty for a change of the table's key. */
	readonly column: string;
	/** What changed, in words: `added`, `dropped`, `renamed from a`, `widened int → bigint`. */
	readonly change: string;
	/** What was done: `added`, `kept`, `left out`, `table built anew`. */
	readonly action: string;
}
