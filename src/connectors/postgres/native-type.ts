import { quoteTable } from "./sql-text.ts";

/** A type as the catalog has it, domains resolved. */
export interface NativeType {
	readonly oid: number;
	readonly schema: string;
	readonly name: string;
	readonly kind: "base" | "enum" | "composite" | "range" | "array";
	/** Of the column, or of the domain that it had; -1 when there is none. For arrays it is the elements'. */
	readonly modifier: number;
	/** Dimensions that the DDL wrote; the server does not enforce them. */
	readonly dimensions: number;
	readonly element?: NativeType;
	/** The function that prints a value, quoted, where a cast to text would print something else. */
	readonly printer?: string;
	/** The type was reached through a domain. */
	readonly viaDomain: boolean;
}

/** Oids of pg_catalog that never change: src/include/catalog/pg_type.dat */
export const OID = {
	bool: 16,
	bytea: 17,
	int8: 20,
	int2: 21,
	int4: 23,
	text: 25,
	float4: 700,
	float8: 701,
	date: 1082,
	time: 1083,
	timestamp: 1114,
	timestamptz: 1184,
	interval: 1186,
	numeric: 1700,
	uuid: 2950,
} as const;

/** The built-in type's name, or "" for a type of any other schema: a table may have a type called `int4` of its own. */
export function builtIn(type: NativeType): string {
	return type.schema === "pg_catalog" && type.kind === "base" ? type.name : "";
}

/** Name of an extension's base type; its schema is wherever the extension was installed. */
export function extensionType(type: NativeType): string {
	return type.schema !== "pg_catalog" && type.kind === "base" ? type.name : "";
}

const TEXT_TYPES = new Set(["text", "varchar", "bpchar", "name"]);

/** The binary form is the text itself. */
export function isText(type: NativeType): boolean {
	return TEXT_TYPES.has(builtIn(type)) || type.kind === "enum" || extensionType(type) === "citext";
}

const INTEGERS = new Set(["int2", "int4", "int8", "oid"]);

export function isInteger(type: NativeType): boolean {
	return INTEGERS.has(builtIn(type));
}

/**
 * Precision and scale of numeric(p,s); null without them. Scales are 11 bits with a sign since PostgreSQL 15.
 * numeric_typmod_precision and numeric_typmod_scale in src/backend/utils/adt/numeric.c
 */
export function numericModifier(modifier: number): { precision: number; scale: number } | null {
	if (modifier < 4) return null;
	const packed = modifier - 4;
	return { precision: packed >> 16, scale: ((packed & 0x7ff) ^ 1024) - 1024 };
}

export function cast(expression: string, type: string): string {
	return `${expression}::pg_catalog.${type}`;
}

/** The value as its output function prints it: what psql shows and logical replication sends. Booleans: true, false. */
export function printed(type: NativeType, expression: string): string {
	if (type.printer !== undefined && builtIn(type) !== "bool")
		return `pg_catalog.textin(${type.printer}(${expression}))`;
	return cast(expression, "text");
}

/** A column as a value of its base type: polymorphic functions need it where the column's own type is a domain. */
export function operand(type: NativeType, quotedColumn: string): string {
	return type.viaDomain ? `${quotedColumn}::${quoteTable(type)}` : quotedColumn;
}
