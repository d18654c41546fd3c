import type { NativeColumn } from "../native.ts";
import { type LogColumn, LogType } from "./table-map.ts";

const INTEGER_BITS: Readonly<Record<number, readonly [name: string, bits: number]>> = {
	[LogType.tiny]: ["tinyint", 8],
	[LogType.short]: ["smallint", 16],
	[LogType.int24]: ["mediumint", 24],
	[LogType.long]: ["int", 32],
	[LogType.longlong]: ["bigint", 64],
};
const STRINGS = new Set<number>([LogType.varchar, LogType.varString, LogType.string, LogType.varcharCompressed]);
const BLOBS = new Set<number>([
	LogType.blob,
	LogType.tinyBlob,
	LogType.mediumBlob,
	LogType.longBlob,
	LogType.blobCompressed,
]);
const BINARY_COLLATION = 63;

function fractionOf(nativeType: string): number {
	return Number(/^\w+\((\d)\)/.exec(nativeType)?.[1] ?? 0);
}

/** Whether a column as the log describes it is of the type that the catalog says; what the log leaves out agrees. */
export function agrees(log: LogColumn, native: NativeColumn, charset: string | undefined): boolean {
	const fraction = () => fractionOf(native.nativeType) === log.size;
	const isBinary = log.collation === undefined ? charset === "binary" : log.collation === BINARY_COLLATION;
	const tellsCharset = log.collation !== undefined;
	switch (native.family) {
		case "integer":
			return (
				INTEGER_BITS[log.type]?.[1] === native.bits &&
				(log.unsigned === undefined || log.unsigned === (native.unsigned ?? false))
			);
		case "decimal":
			return log.type === LogType.newdecimal && log.precision === native.precision && log.scale === native.scale;
		case "float":
			return log.type === LogType.float;
		case "double":
			return log.type === LogType.double;
		case "bit":
			return log.type === LogType.bit && log.size === native.bits;
		case "year":
			return log.type === LogType.year;
		case "date":
			return log.type === LogType.date || log.type === LogType.newdate;
		case "datetime":
			return log.type === LogType.datetime || (log.type === LogType.datetime2 && fraction());
		case "timestamp":
			return log.type === LogType.timestamp || (log.type === LogType.timestamp2 && fraction());
		case "time":
			return log.type === LogType.time || (log.type === LogType.time2 && fraction());
		case "label":
			return log.type === (/^enum/i.test(native.nativeType) ? LogType.enum : LogType.set);
		case "json":
			return log.type === LogType.json || BLOBS.has(log.type);
		case "binary":
			return (STRINGS.has(log.type) || BLOBS.has(log.type)) && (!tellsCharset || isBinary);
		case "text":
			if (/^inet[46]$/i.test(native.nativeType)) return log.type === LogType.string;
			return (STRINGS.has(log.type) || BLOBS.has(log.type)) && !(tellsCharset && isBinary);
		case "uuid":
			return log.type === LogType.string && log.size === 16;
		case "geometry":
			return log.type === LogType.geometry;
		case "vector":
			return log.type === LogType.vector || STRINGS.has(log.type) || BLOBS.has(log.type);
	}
}

/** A column as the log alone describes it: one that the table no longer has, or has as another type. */
export function nativeOfLog(name: string, log: LogColumn, charset: string | undefined): NativeColumn {
	const base = { name, nullable: log.nullable };
	const sign = log.unsigned ? " unsigned" : "";
	const digits = log.size > 0 && log.size <= 6 ? `(${log.size})` : "";
	const integer = INTEGER_BITS[log.type];
	if (integer !== undefined)
		return {
			...base,
			family: "integer",
			nativeType: integer[0] + sign,
			bits: integer[1],
			unsigned: log.unsigned ?? false,
		};
	switch (log.type) {
		case LogType.newdecimal: {
			const { precision, scale } = log;
			return { ...base, family: "decimal", nativeType: `decimal(${precision},${scale})${sign}`, precision, scale };
		}
		case LogType.float:
			return { ...base, family: "float", nativeType: `float${sign}` };
		case LogType.double:
			return { ...base, family: "double", nativeType: `double${sign}` };
		case LogType.bit:
			return { ...base, family: "bit", nativeType: `bit(${log.size})`, bits: log.size };
		case LogType.year:
			return { ...base, family: "year", nativeType: "year(4)" };
		case LogType.date:
		case LogType.newdate:
			return { ...base, family: "date", nativeType: "date" };
		case LogType.datetime2:
			return { ...base, family: "datetime", nativeType: `datetime${digits}` };
		case LogType.datetime:
			return { ...base, family: "datetime", nativeType: "datetime" };
		case LogType.timestamp2:
			return { ...base, family: "timestamp", nativeType: `timestamp${digits}` };
		case LogType.timestamp:
			return { ...base, family: "timestamp", nativeType: "timestamp" };
		case LogType.time2:
			return { ...base, family: "time", nativeType: `time${digits}` };
		case LogType.time:
			return { ...base, family: "time", nativeType: "time" };
		case LogType.enum:
			return { ...base, family: "label", nativeType: "enum" };
		case LogType.set:
			return { ...base, family: "label", nativeType: "set" };
		case LogType.json:
			return { ...base, family: "json", nativeType: "json" };
		case LogType.geometry:
			return { ...base, family: "geometry", nativeType: "geometry" };
		case LogType.vector:
			return { ...base, family: "vector", nativeType: "vector" };
	}
	if (log.collation === BINARY_COLLATION || charset === "binary")
		return { ...base, family: "binary", nativeType: STRINGS.has(log.type) ? "varbinary" : "blob" };
	return { ...base, family: "text", nativeType: STRINGS.has(log.type) ? "varchar" : "text" };
}
