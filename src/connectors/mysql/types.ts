import {
	type ColumnType,
	DECIMAL_PRECISION_MAX,
	type Fidelity,
	lenientType,
	type SourceColumn,
	sameType,
	type TypePolicy,
	typeName,
} from "../../core/index.ts";
import { type ColumnDecoder, findDecode, type Wire } from "./decoders.ts";
import type { NativeColumn } from "./native.ts";
import { identifier } from "./sql.ts";

interface Mapping {
	readonly type: ColumnType;
	readonly wire: Wire;
	readonly select?: string;
	readonly note?: string;
	readonly single?: boolean;
}

/** The exact mapping of each native type; `docs` of the connector list it. */
function exactMapping(native: NativeColumn, policy: TypePolicy): Mapping {
	const column = identifier(native.name);
	switch (native.family) {
		case "integer": {
			const bits = native.bits === 24 ? 32 : (native.bits ?? 64);
			return { type: { kind: `${native.unsigned ? "u" : ""}int${bits as 8 | 16 | 32 | 64}` }, wire: "integer" };
		}
		case "decimal": {
			const { precision = 10, scale = 0 } = native;
			if (precision <= DECIMAL_PRECISION_MAX) return { type: { kind: "decimal", precision, scale }, wire: "decimal" };
			const note = `over ${DECIMAL_PRECISION_MAX} digits: kept as text`;
			return { type: { kind: "text" }, wire: "decimal", note };
		}
		case "float":
			// As text a FLOAT has six digits; times 1e0 it is the double of the same value, with all of them.
			return { type: { kind: "float32" }, wire: "real", select: `${column} * 1e0`, single: true };
		case "double":
			return {
				type: { kind: "float64" },
				wire: "real",
				...(native.scale === undefined ? {} : { select: `${column} * 1e0` }),
			};
		case "bit":
			return { type: { kind: native.bits === 1 ? "boolean" : "text" }, wire: "bit" };
		case "year":
			return { type: { kind: "int16" }, wire: "integer" };
		case "date":
			return dated({ kind: "date" }, "date", policy);
		case "datetime":
			return dated({ kind: "timestamp" }, "datetime", policy);
		case "timestamp":
			return dated({ kind: "timestamptz" }, "datetime", policy);
		case "time":
			return { type: { kind: "interval" }, wire: "time" };
		case "label":
		case "text":
			return { type: { kind: "text" }, wire: "text" };
		case "json":
			return { type: { kind: "json" }, wire: "text" };
		case "binary":
			return { type: { kind: "binary" }, wire: "bytes" };
		case "geometry":
			return { type: { kind: "binary" }, wire: "geometry", note: "kept as EWKB: the SRID, then the shape" };
		case "uuid":
			return { type: { kind: "uuid" }, wire: "uuid" };
		case "vector":
			return { type: { kind: "list", element: { kind: "float32" } }, wire: "vector" };
	}
}

function dated(type: ColumnType, wire: Wire, policy: TypePolicy): Mapping {
	if (policy.zeroDate === "string")
		return { type: { kind: "text" }, wire, note: "kept as text, with 0000-00-00 as it is (types.zero_date: string)" };
	return {
		type,
		wire,
		note:
			policy.zeroDate === "null"
				? "0000-00-00 and dates that do not exist become NULL and are counted (types.zero_date: null)"
				: "0000-00-00 and dates that do not exist stop the run (types.zero_date: fail)",
	};
}

/** The column under a policy: its mode, then what the pipeline says of this column. */
export function sourceColumn(native: NativeColumn, policy: TypePolicy): SourceColumn {
	const exact = exactMapping(native, policy);
	const override = Object.hasOwn(policy.overrides ?? {}, native.name) ? policy.overrides?.[native.name] : undefined;
	const wanted = override ?? modeType(exact.type, policy);
	const column = identifier(native.name);
	const decoder: ColumnDecoder = {
		native,
		wire: exact.wire,
		select: exact.select ?? column,
		column,
		...(native.bits === undefined ? {} : { bits: native.bits }),
		...(exact.single ? { single: true } : {}),
		...(exact.wire === "bytes" && isText(wanted) ? { bytesAs: policy.mode === "lenient" ? "text" : "hex" } : {}),
	};
	const { name, nativeType, nullable, collation } = native;
	const base = { name, nativeType, nullable, ...(collation === undefined ? {} : { collation }) };
	const loose = looseEquality(native.collation);
	const made = (
		type: ColumnType,
		fidelity: Fidelity,
		note: string | undefined,
		with_: ColumnDecoder,
	): SourceColumn => ({
		...base,
		type,
		fidelity,
		decoder: with_,
		...(note === undefined ? {} : { note }),
		...(loose === undefined ? {} : { looseEquality: loose }),
	});
	if (sameType(wanted, exact.type)) return made(exact.type, "exact", exact.note, decoder);
	const converted = conversion(native, exact, wanted, decoder);
	return made(wanted, converted.fidelity, converted.note, converted.decoder);
}

function modeType(exact: ColumnType, policy: TypePolicy): ColumnType {
	if (policy.mode === "string") return { kind: "text" };
	return policy.mode === "lenient" ? lenientType(exact) : exact;
}

function isText(type: ColumnType): boolean {
	return type.kind === "text" || type.kind === "json";
}

interface Conversion {
	readonly fidelity: Fidelity;
	readonly note?: string;
	readonly decoder: ColumnDecoder;
}

const lossy = (note: string, decoder: ColumnDecoder): Conversion => ({ fidelity: "lossy", note, decoder });
const exactly = (decoder: ColumnDecoder, note?: string): Conversion => ({
	fidelity: "exact",
	decoder,
	...(note === undefined ? {} : { note }),
});

/** From the exact type to another one that a mode or an override asks for. */
function conversion(native: NativeColumn, exact: Mapping, to: ColumnType, decoder: ColumnDecoder): Conversion {
	const refused: Conversion = {
		fidelity: "refused",
		note: `${native.nativeType} can't become ${typeName(to)}`,
		decoder,
	};
	const checked: ColumnDecoder = { ...decoder, checked: true };
	if (findDecode(checked, to) === null) return refused;
	if (isText(to)) {
		if (to.kind === "json" && native.family !== "text" && native.family !== "json") return refused;
		if (decoder.wire === "bytes")
			return decoder.bytesAs === "text"
				? lossy("bytes that are not UTF-8 become base64 and are counted", decoder)
				: exactly(decoder, "kept as hex");
		if (decoder.wire === "geometry") return exactly(decoder, "kept as the hex of EWKB");
		if (native.family === "timestamp") return exactly(decoder, "kept as text, in UTC");
		return exactly(decoder);
	}
	switch (decoder.wire) {
		case "integer":
			return fromInteger(native, to, decoder, checked) ?? refused;
		case "decimal":
			return fromDecimal(native, to, decoder, checked) ?? refused;
		case "real":
			if (to.kind === "float64") return exactly(decoder);
			return lossy("double becomes float: about 7 digits stay", decoder);
		case "bit":
			return native.bits === 1 || to.kind === "uint64" || to.kind === "binary" || (native.bits ?? 64) < 64
				? to.kind === "boolean" && native.bits !== 1
					? refused
					: exactly(decoder)
				: refused;
		case "date":
			return exactly(decoder, exact.note);
		case "datetime":
			return exactly(
				decoder,
				native.family === "datetime"
					? `the time is taken to be UTC; ${exact.note}`
					: `the time in UTC, without its zone; ${exact.note}`,
			);
		case "time":
			return lossy("times below 0 or over 24 hours follow types.out_of_range", decoder);
		case "text":
			if (to.kind === "list") return refused;
			if (to.kind === "binary") {
				const select = `CAST(${decoder.column} AS BINARY)`;
				return exactly({ ...decoder, wire: "bytes", select }, "the bytes as the column's character set has them");
			}
			return lossy(`text that is not the canonical text of ${typeName(to)} follows types.out_of_range`, checked);
		case "vector":
			return to.kind === "binary" ? exactly(decoder, "kept as little-endian floats") : refused;
		default:
			return refused;
	}
}

const INTEGER = /^(u?)int(8|16|32|64)$/;

/** Whether an integer type holds all values of another: by bits and sign. */
function fits(bits: number, unsigned: boolean, to: { bits: number; unsigned: boolean }): boolean {
	if (unsigned === to.unsigned) return bits <= to.bits;
	return unsigned && bits < to.bits;
}

function fromInteger(
	native: NativeColumn,
	to: ColumnType,
	decoder: ColumnDecoder,
	checked: ColumnDecoder,
): Conversion | null {
	const bits = native.family === "year" ? 16 : (native.bits ?? 64);
	const unsigned = native.unsigned ?? false;
	const integer = INTEGER.exec(to.kind);
	if (integer !== null) {
		const target = { bits: Number(integer[2]), unsigned: integer[1] === "u" };
		if (fits(bits, unsigned, target)) return exactly(decoder);
		return lossy(`values that do not fit ${to.kind} follow types.out_of_range`, checked);
	}
	if (to.kind === "float64" || to.kind === "float32") {
		const exactBits = to.kind === "float64" ? 53 : 24;
		return bits <= exactBits ? exactly(decoder) : lossy(`numbers above 2^${exactBits} are rounded`, decoder);
	}
	if (to.kind === "decimal") {
		const digits = bits === 64 ? (unsigned ? 20 : 19) : Math.ceil(bits * Math.log10(2));
		if (to.precision - to.scale >= digits) return exactly(checked);
		return lossy(`values that do not fit ${typeName(to)} follow types.out_of_range`, checked);
	}
	if (to.kind === "boolean") {
		const select = `CASE ${decoder.column} WHEN 0 THEN 'false' WHEN 1 THEN 'true' ELSE ${decoder.column} END`;
		return lossy("values other than 0 and 1 follow types.out_of_range", { ...checked, wire: "text", select });
	}
	return null;
}

function fromDecimal(
	native: NativeColumn,
	to: ColumnType,
	decoder: ColumnDecoder,
	checked: ColumnDecoder,
): Conversion | null {
	const { precision = 10, scale = 0 } = native;
	if (to.kind === "float64" || to.kind === "float32") {
		const digits = to.kind === "float64" ? 15 : 6;
		return lossy(
			precision <= digits
				? `becomes the nearest binary number; rounded to ${scale} decimals it is the old value`
				: `becomes the nearest binary number: about ${digits} of ${precision} digits stay`,
			decoder,
		);
	}
	if (to.kind === "decimal") {
		if (to.scale >= scale && to.precision - to.scale >= precision - scale) return exactly(checked);
		return lossy(`values that do not fit ${typeName(to)} follow types.out_of_range`, checked);
	}
	if (INTEGER.test(to.kind)) return lossy(`values that do not fit ${to.kind} follow types.out_of_range`, checked);
	return null;
}

/** Why two values that are equal here may differ elsewhere; undefined for collations that compare bytes. */
export function looseEquality(collation: string | undefined): string | undefined {
	if (collation === undefined || collation === "binary") return undefined;
	const bytewise = /_bin$/.test(collation);
	const padless = /_nopad_|_0900_/.test(collation);
	if (bytewise && padless) return undefined;
	if (bytewise) return `collation ${collation} ignores trailing blanks`;
	const what = /_cs(?:$|_)|_as_cs/.test(collation) ? "treats some different characters as equal" : "ignores case";
	return `collation ${collation} ${what}${padless ? "" : " and trailing blanks"}`;
}
