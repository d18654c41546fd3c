import { ByteReader, corrupt } from "./bytes.ts";
import { EventType, type FormatDescription, hasShortTableId, type LogEvent } from "./event.ts";
import { inflateEvent } from "./inflate.ts";
import type { RowsKind } from "./row-images.ts";

interface RowsForm {
	readonly kind: RowsKind;
	/** Version 2 has room for more behind its flags. */
	readonly version: 1 | 2;
	readonly compressed: boolean;
}

const FORMS: Readonly<Record<number, RowsForm>> = {
	[EventType.writeRowsV1]: { kind: "insert", version: 1, compressed: false },
	[EventType.updateRowsV1]: { kind: "update", version: 1, compressed: false },
	[EventType.deleteRowsV1]: { kind: "delete", version: 1, compressed: false },
	[EventType.writeRows]: { kind: "insert", version: 2, compressed: false },
	[EventType.updateRows]: { kind: "update", version: 2, compressed: false },
	[EventType.deleteRows]: { kind: "delete", version: 2, compressed: false },
	[EventType.mariadbWriteRowsCompressedV1]: { kind: "insert", version: 1, compressed: true },
	[EventType.mariadbUpdateRowsCompressedV1]: { kind: "update", version: 1, compressed: true },
	[EventType.mariadbDeleteRowsCompressedV1]: { kind: "delete", version: 1, compressed: true },
	[EventType.mariadbWriteRowsCompressed]: { kind: "insert", version: 2, compressed: true },
	[EventType.mariadbUpdateRowsCompressed]: { kind: "update", version: 2, compressed: true },
	[EventType.mariadbDeleteRowsCompressed]: { kind: "delete", version: 2, compressed: true },
};

/** How an event of this type holds rows; undefined when it holds none. */
export function rowsForm(type: number): RowsForm | undefined {
	return FORMS[type];
}

export interface RowsBody {
	readonly kind: RowsKind;
	readonly bytes: Buffer;
	readonly start: number;
	readonly end: number;
	readonly present: Uint8Array;
	readonly presentAfter: Uint8Array;
}

/**
 * The images of a rows event for a table of `columnCount` columns.
 * @throws E_CORRUPT_EVENT, E_BOMB
 * https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Rows__event.html
 */
export function readRows(event: LogEvent, form: RowsForm, format: FormatDescription, columnCount: number): RowsBody {
	const reader = new ByteReader(event.bytes, event.body, event.bodyEnd, "an event of rows");
	reader.skip(hasShortTableId(format, event.type) ? 6 : 8);
	// The length of what is extra counts itself: NDB's information, partitions.
	if (form.version === 2) reader.skip(reader.uint(2) - 2);
	const count = reader.lengthEncoded();
	if (count !== columnCount) throw corrupt("rows of another number of columns than their table has");
	const bitmapBytes = (count + 7) >> 3;
	const present = reader.slice(bitmapBytes);
	const presentAfter = form.kind === "update" ? reader.slice(bitmapBytes) : present;
	const start = reader.at;
	if (!form.compressed)
		return { kind: form.kind, bytes: event.bytes, start, end: event.bodyEnd, present, presentAfter };
	const bytes = inflateEvent(event.bytes.subarray(start, event.bodyEnd));
	return { kind: form.kind, bytes, start: 0, end: bytes.length, present, presentAfter };
}
