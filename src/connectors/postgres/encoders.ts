import type { ColumnType } from "../../core/index.ts";
import type { ColumnEncoder, Encode } from "./encode.ts";
import { numericEncoder } from "./encode-decimal.ts";
import * as fixed from "./encode-fixed.ts";
import { listEncoder } from "./encode-list.ts";
import { nativeEncoder } from "./encode-native.ts";
import { bytesEncoder, jsonbEncoder, limitedTextEncoder } from "./encode-text.ts";
import * as time from "./encode-time.ts";
import { numericOf } from "./target-types.ts";

/** Oids of element types that an array may be made of here: src/include/catalog/pg_type.dat */
const ELEMENT_OIDS: Readonly<Record<string, number>> = {
	boolean: 16,
	bytea: 17,
	bigint: 20,
	smallint: 21,
	integer: 23,
	text: 25,
	json: 114,
	real: 700,
	"double precision": 701,
	date: 1082,
	time: 1083,
	timestamp: 1114,
	timestamptz: 1184,
	interval: 1186,
	numeric: 1700,
	uuid: 2950,
	jsonb: 3802,
	macaddr8: 774,
	cidr: 650,
	macaddr: 829,
	inet: 869,
	timetz: 1266,
	bit: 1560,
	"bit varying": 1562,
};

const INTEGER_BYTES: Readonly<Record<string, 2 | 4 | 8>> = { smallint: 2, integer: 4, bigint: 8 };
/** Bits that a signed column needs for an integer type. */
const BITS_NEEDED: Readonly<Record<string, number>> = {
	int8: 16,
	uint8: 16,
	int16: 16,
	uint16: 32,
	int32: 32,
	uint32: 64,
	int64: 64,
};
/** Decimal digits before the point that an integer type needs. */
const DIGITS_NEEDED: Readonly<Record<string, number>> = {
	int8: 3,
	uint8: 3,
	int16: 5,
	uint16: 5,
	int32: 10,
	uint32: 10,
	int64: 19,
	uint64: 20,
};

const plain = (width: number, encode: Encode): ColumnEncoder => ({ width, variable: false, encode });

/**
 * How values of a canonical type are written into a column of a PostgreSQL type (as `pgTypeName` spells it) without
 * change; null when the column does not hold all of them. `planned` is the type that was planned for the column: where it
 * is one that the source has too, its text is that type's.
 */
export function encoderOf(type: ColumnType, pgType: string, planned?: string): ColumnEncoder | null {
	switch (type.kind) {
		case "boolean":
			return pgType === "boolean" ? plain(1, fixed.encodeBoolean) : null;
		case "int8":
		case "uint8":
		case "int16":
		case "uint16":
		case "int32":
		case "uint32":
		case "int64":
		case "uint64":
			return integerEncoder(type, pgType);
		case "decimal":
			return holdsDigits(pgType, type.precision - type.scale, type.scale) ? numericEncoder(type) : null;
		case "float32":
			if (pgType === "double precision") return plain(8, fixed.encodeWidened);
			return pgType === "real" ? plain(4, fixed.encodeFloat4) : null;
		case "float64":
			return pgType === "double precision" ? plain(8, fixed.encodeFloat8) : null;
		case "date":
			if (pgType === "timestamp") return plain(8, time.encodeMidnight);
			return pgType === "date" ? plain(4, time.encodeDate) : null;
		case "time":
			return pgType === "time" ? plain(8, fixed.encodeInt8) : null;
		case "timestamp":
		case "timestamptz":
			return pgType === type.kind ? plain(8, time.encodeTimestamp) : null;
		case "interval":
			return pgType === "interval" ? plain(16, time.encodeInterval) : null;
		case "uuid":
			return pgType === "uuid" ? plain(16, fixed.encodeUuid) : null;
		case "text":
			if (pgType !== planned) return textEncoder(pgType);
			return pgType === "jsonb" ? jsonbEncoder : (nativeEncoder(pgType) ?? textEncoder(pgType));
		case "json":
			if (pgType === "jsonb") return jsonbEncoder;
			return pgType === "json" || pgType === "text" ? bytesEncoder : null;
		case "binary":
			return pgType === "bytea" ? bytesEncoder : null;
		case "list": {
			if (!pgType.endsWith("[]")) return null;
			const element = pgType.slice(0, -2);
			const oid = ELEMENT_OIDS[element.replace(/\(.*$/, "")];
			const encoder = encoderOf(type.element, element, planned?.slice(0, -2));
			return encoder === null || oid === undefined ? null : listEncoder(type.element, encoder, oid);
		}
	}
}

function integerEncoder(type: ColumnType, pgType: string): ColumnEncoder | null {
	const bytes = INTEGER_BYTES[pgType];
	const needed = BITS_NEEDED[type.kind];
	if (bytes !== undefined) {
		if (needed === undefined || bytes * 8 < needed) return null;
		if (type.kind === "int64") return plain(8, fixed.encodeInt8);
		return plain(bytes, fixed.encodeInteger(type.kind as fixed.SmallInteger, bytes));
	}
	return holdsDigits(pgType, DIGITS_NEEDED[type.kind]!, 0) ? numericEncoder(type) : null;
}

function holdsDigits(pgType: string, before: number, after: number): boolean {
	const numeric = numericOf(pgType);
	return numeric !== null && numeric.before >= before && numeric.after >= after;
}

/** Enum labels and citext have text's form. */
function textEncoder(pgType: string): ColumnEncoder | null {
	const limit = /^varchar\((\d+)\)$/.exec(pgType);
	if (limit) return limitedTextEncoder(Number(limit[1]));
	return ["text", "varchar", "citext", "enum"].includes(pgType) ? bytesEncoder : null;
}
