import { type ColumnType, type Field, HeadraceError, typeName } from "../../core/index.ts";
import { type Decode, viaText } from "./decode.ts";
import {
	bitBoolean,
	bitInteger,
	bitText,
	float32AsText,
	geometry,
	geometryHex,
	hexText,
	lenientText,
	raw,
	uuid,
	vector,
} from "./decode-bytes.ts";
import {
	decimal16,
	decimal32,
	decimal64,
	decimal128,
	integer8,
	integer16,
	integer32,
	integer64,
} from "./decode-number.ts";
import { real32, real64, rounded32, rounded64 } from "./decode-real.ts";
import { date, timeInterval, timeOfDay, timestamp } from "./decode-time.ts";
import type { NativeColumn } from "./native.ts";

/** Form of a value's bytes on the wire. */
export type Wire =
	| "integer"
	| "decimal"
	| "real"
	| "bit"
	| "date"
	| "datetime"
	| "time"
	| "text"
	| "bytes"
	| "geometry"
	| "uuid"
	| "vector";

/** How `read` selects and decodes a column: SourceColumn.decoder of this connector. */
export interface ColumnDecoder {
	readonly wire: Wire;
	/** The expression that is selected. */
	readonly select: string;
	/** The column's condition-ready name: what windows and ranges compare. */
	readonly column: string;
	/** BIT(n): n. */
	readonly bits?: number;
	/** The real is a FLOAT, selected as a double. */
	readonly single?: boolean;
	/** Bytes as text: hex, or the text itself when it is UTF-8 and base64 else. */
	readonly bytesAs?: "hex" | "text";
	/** What the column is on the server: what a value of the change log is decoded by. */
	readonly native: NativeColumn;
	/** The wire's text may not fit the type (an override): each value is checked. */
	readonly checked?: boolean;
}

const INTEGERS: Readonly<Record<string, Decode>> = {
	int8: integer8,
	uint8: integer8,
	int16: integer16,
	uint16: integer16,
	int32: integer32,
	uint32: integer32,
	int64: integer64,
	uint64: integer64,
};

/** The loop for a column; null when there is none for this pair. */
export function findDecode(decoder: ColumnDecoder, type: ColumnType): Decode | null {
	const { kind } = type;
	const asText = kind === "text" || kind === "json";
	switch (decoder.wire) {
		case "integer":
			if (asText) return raw;
			if (!decoder.checked && INTEGERS[kind] !== undefined) return INTEGERS[kind];
			if (kind === "float32" || kind === "float64") return kind === "float32" ? rounded32 : rounded64;
			return viaText;
		case "decimal":
			if (asText) return raw;
			if (kind === "float32" || kind === "float64") return kind === "float32" ? rounded32 : rounded64;
			if (type.kind === "decimal" && !decoder.checked) return decimalDecode(type.precision);
			return viaText;
		case "real":
			if (asText) return decoder.single ? float32AsText : raw;
			if (kind === "float32") return decoder.single ? real32 : rounded32;
			return kind === "float64" ? real64 : null;
		case "bit":
			if (kind === "boolean") return bitBoolean;
			if (kind === "int64" || kind === "uint64") return bitInteger;
			return asText ? bitText(decoder.bits ?? 64) : kind === "binary" ? raw : null;
		case "date":
			if (asText) return raw;
			return kind === "date" ? date : kind === "timestamp" ? timestamp : null;
		case "datetime":
			return asText ? raw : kind === "timestamp" || kind === "timestamptz" ? timestamp : null;
		case "time":
			return asText ? raw : kind === "interval" ? timeInterval : kind === "time" ? timeOfDay : null;
		case "text":
			return asText || kind === "binary" ? raw : viaText;
		case "bytes":
			if (kind === "binary") return raw;
			return asText ? (decoder.bytesAs === "text" ? lenientText : hexText) : null;
		case "geometry":
			return kind === "binary" ? geometry : asText ? geometryHex : null;
		case "uuid":
			return kind === "uuid" ? uuid : asText ? raw : null;
		case "vector":
			if (kind === "list") return vector;
			return kind === "binary" ? raw : asText ? vector : null;
	}
}

function decimalDecode(precision: number): Decode {
	if (precision <= 4) return decimal16;
	if (precision <= 9) return decimal32;
	return precision <= 18 ? decimal64 : decimal128;
}

/** @throws E_INTERNAL when the column did not come from this connector's `describe` */
export function decodeOf(field: Field, decoder: ColumnDecoder): Decode {
	const decode = findDecode(decoder, field.type);
	if (decode === null)
		throw new HeadraceError(
			"E_INTERNAL",
			`column ${field.name}: ${decoder.wire} has no way to ${typeName(field.type)}`,
		);
	return decode;
}

/** Whether the column's bytes may be something else than UTF-8 although its type is text. */
export function needsUtf8Check(decoder: ColumnDecoder, type: ColumnType): boolean {
	return decoder.wire === "text" && (type.kind === "text" || type.kind === "json");
}
