import type { ColumnType, TypePolicy } from "../../core/index.ts";
import type { Decode } from "./decode.ts";
import { decodeDecimal, decodeIntegerOf, decodeRounded } from "./decode-decimal.ts";
import * as fixed from "./decode-fixed.ts";
import { decodeDay, decodeNarrowFloat, decodeTruth } from "./decode-narrow.ts";
import * as text from "./decode-text.ts";
import * as time from "./decode-time.ts";

/** The names that a column's reading may have; each is a binary format of the server. */
export type DecodeName =
	| "boolean"
	| "int2"
	| "int4"
	| "int8"
	| "float4"
	| "float8"
	| "decimal"
	| "rounded"
	| "narrowFloat"
	| "truth"
	| "day"
	| "integer"
	| "date"
	| "timestamp"
	| "time"
	| "interval"
	| "uuid"
	| "text"
	| "jsonb"
	| "array"
	| "arrayBounds"
	| "lenientBytes";

/** The decoder of a column; policies are looked up once, here. */
export function decoderOf(name: DecodeName, column: string, type: ColumnType, policy: TypePolicy): Decode {
	switch (name) {
		case "boolean":
			return fixed.decodeBoolean;
		case "int2":
			return fixed.decodeInt2;
		case "int4":
			return fixed.decodeInt4;
		case "int8":
			return fixed.decodeInt8;
		case "float4":
			return fixed.decodeFloat4;
		case "float8":
			return fixed.decodeFloat8;
		case "decimal":
			return decodeDecimal(column, type, policy);
		case "rounded":
			return decodeRounded(type, policy);
		case "narrowFloat":
			return decodeNarrowFloat(type, policy);
		case "truth":
			return decodeTruth;
		case "day":
			return decodeDay;
		case "integer":
			return decodeIntegerOf(column, type, policy);
		case "date":
			return time.decodeDate;
		case "timestamp":
			return time.decodeTimestamp(column, policy);
		case "time":
			return time.decodeTime;
		case "interval":
			return time.decodeInterval(column, policy);
		case "uuid":
			return fixed.decodeUuid;
		case "text":
			return text.decodeText;
		case "jsonb":
			return text.decodeJsonb;
		case "array":
			return text.decodeArray(column, "an array of several dimensions, or whose first index is not 1", [
				"json",
				"text",
			]);
		case "arrayBounds":
			return text.decodeArray(column, "an array whose first index is not 1", ["text"]);
		case "lenientBytes":
			return text.decodeLenientBytes;
	}
}
