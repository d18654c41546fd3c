import type { FieldPacket } from "./driver.ts";

/** What a value is on the server, whichever way it was learnt. */
export type Family =
	| "integer"
	| "decimal"
	| "float"
	| "double"
	| "bit"
	| "year"
	| "date"
	| "datetime"
	| "timestamp"
	| "time"
	| "text"
	| "label"
	| "json"
	| "binary"
	| "geometry"
	| "uuid"
	| "vector";

export interface NativeColumn {
	readonly name: string;
	readonly family: Family;
	/** As DDL names it: `decimal(10,2) unsigned`. */
	readonly nativeType: string;
	readonly nullable: boolean;
	/** Integers: bits of the type; BIT: how many it holds. */
	readonly bits?: number;
	readonly unsigned?: boolean;
	readonly precision?: number;
	readonly scale?: number;
	readonly collation?: string;
}

const INTEGER_BITS: Readonly<Record<string, number>> = { tinyint: 8, smallint: 16, mediumint: 24, int: 32, bigint: 64 };

const FAMILIES: Readonly<Record<string, Family>> = {
	bit: "bit",
	year: "year",
	date: "date",
	datetime: "datetime",
	timestamp: "timestamp",
	time: "time",
	float: "float",
	double: "double",
	decimal: "decimal",
	char: "text",
	varchar: "text",
	tinytext: "text",
	text: "text",
	mediumtext: "text",
	longtext: "text",
	enum: "label",
	set: "label",
	json: "json",
	binary: "binary",
	varbinary: "binary",
	tinyblob: "binary",
	blob: "binary",
	mediumblob: "binary",
	longblob: "binary",
	geometry: "geometry",
	point: "geometry",
	linestring: "geometry",
	polygon: "geometry",
	multipoint: "geometry",
	multilinestring: "geometry",
	multipolygon: "geometry",
	geometrycollection: "geometry",
	geomcollection: "geometry",
	uuid: "uuid",
	inet4: "text",
	inet6: "text",
	xmltype: "text",
	vector: "vector",
};

/** A row of information_schema.COLUMNS, the parts that say the type. */
export interface CatalogColumn {
	readonly name: string;
	readonly dataType: string;
	readonly columnType: string;
	readonly nullable: boolean;
	readonly precision: string | null;
	readonly scale: string | null;
	readonly collation: string | null;
	/** MariaDB: LONGTEXT with the check that `JSON` stands for. */
	readonly isJson: boolean;
}

/** COLUMN_TYPE without the remarks that MariaDB puts behind it: `datetime /* mariadb-5.3 *\/`. */
export function nativeTypeText(columnType: string): string {
	return columnType.replace(/\s*\/\*.*?\*\//g, "");
}

/** Null when the type is not known: a server newer than this program. */
export function nativeOfCatalog(column: CatalogColumn): NativeColumn | null {
	const { name, nullable } = column;
	const type = column.dataType.toLowerCase();
	const nativeType = nativeTypeText(column.columnType);
	const base = { name, nullable, nativeType };
	const bits = INTEGER_BITS[type];
	const unsigned = /\bunsigned\b/i.test(nativeType);
	if (bits !== undefined) return { ...base, family: "integer", bits, unsigned };
	const family = column.isJson ? "json" : FAMILIES[type];
	if (family === undefined) return null;
	if (family === "bit") return { ...base, family, bits: Number(column.precision ?? 1) };
	if (family === "decimal")
		return { ...base, family, precision: Number(column.precision ?? 10), scale: Number(column.scale ?? 0) };
	// FLOAT(7,4) and DOUBLE(7,4) print as many decimals as that, whatever the value has.
	if (family === "double" && column.scale !== null) return { ...base, family, scale: Number(column.scale) };
	if (family === "text" && column.collation !== null) return { ...base, family, collation: column.collation };
	return { ...base, family };
}

const FLAG_NOT_NULL = 1;
const FLAG_UNSIGNED = 32;
const FLAG_ENUM = 256;
const FLAG_SET = 2048;
const BINARY_CHARSET = 63;
/** `decimals` of a float without a fixed number of them. */
const NOT_FIXED = 31;

/** Field types of the protocol, with their DDL names. https://dev.mysql.com/doc/dev/mysql-server/latest/field__types_8h.html */
const INTEGER_FIELDS: Readonly<Record<number, readonly [string, number]>> = {
	1: ["tinyint", 8],
	2: ["smallint", 16],
	9: ["mediumint", 24],
	3: ["int", 32],
	8: ["bigint", 64],
};

/** The type of a query's column, by what the server says of its result. */
export function nativeOfField(field: FieldPacket): NativeColumn {
	const base = { name: field.name, nullable: (field.flags & FLAG_NOT_NULL) === 0 };
	const unsigned = (field.flags & FLAG_UNSIGNED) !== 0;
	const suffix = unsigned ? " unsigned" : "";
	const made = (family: Family, nativeType: string, rest: Partial<NativeColumn> = {}): NativeColumn => ({
		...base,
		...rest,
		family,
		nativeType,
	});
	const integer = INTEGER_FIELDS[field.columnType];
	if (integer !== undefined) return made("integer", integer[0] + suffix, { bits: integer[1], unsigned });
	switch (field.columnType) {
		case 0:
		case 246: {
			const scale = field.decimals;
			const precision = Math.max(1, scale, field.columnLength - (scale > 0 ? 1 : 0) - (unsigned ? 0 : 1));
			return made("decimal", `decimal(${precision},${scale})${suffix}`, { precision, scale });
		}
		case 4:
			return made("float", `float${suffix}`);
		case 5:
			return made("double", `double${suffix}`, field.decimals < NOT_FIXED ? { scale: field.decimals } : {});
		case 7:
			return made("timestamp", withFraction("timestamp", field));
		case 10:
		case 14:
			return made("date", "date");
		case 11:
			return made("time", withFraction("time", field));
		case 12:
			return made("datetime", withFraction("datetime", field));
		case 13:
			return made("year", "year");
		case 16:
			return made("bit", `bit(${field.columnLength})`, { bits: field.columnLength });
		case 242:
			return made("vector", "vector");
		case 245:
			return made("json", "json");
		case 255:
			return made("geometry", "geometry");
	}
	if (field.extendedTypeName === "uuid") return made("uuid", "uuid");
	if (field.extendedTypeName === "inet4" || field.extendedTypeName === "inet6")
		return made("text", field.extendedTypeName);
	if (field.extendedFormat === "json") return made("json", "json");
	if ((field.flags & FLAG_ENUM) !== 0) return made("label", "enum");
	if ((field.flags & FLAG_SET) !== 0) return made("label", "set");
	const long = field.columnType >= 249 && field.columnType <= 252;
	if (field.characterSet === BINARY_CHARSET && field.columnType !== 6)
		return made("binary", long ? "blob" : "varbinary");
	return made("text", long ? "text" : "varchar");
}

function withFraction(name: string, field: FieldPacket): string {
	return field.decimals > 0 && field.decimals <= 6 ? `${name}(${field.decimals})` : name;
}
