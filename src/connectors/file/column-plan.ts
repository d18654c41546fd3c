import {
	type ColumnType,
	HeadraceError,
	lenientType,
	type SourceColumn,
	sameType,
	type TypePolicy,
	typeName,
} from "../../core/index.ts";
import type { TextInspection } from "./csv-file.ts";
import type { ParquetInspection } from "./parquet-file.ts";
import { TypeGuess } from "./text-types.ts";

/** A column of a table of files, before policies. */
interface FoundColumn {
	readonly name: string;
	readonly type: ColumnType;
	readonly nativeType: string;
}

export interface FoundTable {
	readonly columns: readonly FoundColumn[];
	readonly warnings: readonly string[];
}

interface InspectedFile<Inspection> {
	readonly name: string;
	readonly inspection: Inspection;
}

/** The columns of text files together: by name, each with a type that holds the values of all files. */
export function mergeText(files: readonly InspectedFile<TextInspection>[]): FoundTable {
	const guesses = new Map<string, TypeGuess>();
	for (const { inspection } of files)
		for (const { name, guess } of inspection.columns) {
			const merged = guesses.get(name) ?? new TypeGuess();
			merged.add(guess);
			guesses.set(name, merged);
		}
	const columns = [...guesses].map(([name, guess]) => {
		const { type } = guess;
		return { name, type, nativeType: `${typeName(type)} by its values` };
	});
	const warnings = files.flatMap(({ name, inspection }) => inspection.warnings.map((warning) => `${name}: ${warning}`));
	return { columns, warnings: [...warnings, ...missingColumns(files, [...guesses.keys()])] };
}

/**
 * The columns of Parquet files together: by name, integers and decimals widened to the wider of two.
 * @throws E_SCHEMA naming file and column when two types have no common one
 */
export function mergeParquet(files: readonly InspectedFile<ParquetInspection>[]): FoundTable {
	const columns = new Map<string, FoundColumn>();
	for (const { name: file, inspection } of files)
		for (const column of inspection.columns) {
			const known = columns.get(column.name);
			if (known === undefined) {
				columns.set(column.name, column);
				continue;
			}
			const type = widerType(known.type, column.type);
			if (type === null)
				throw new HeadraceError(
					"E_SCHEMA",
					`column ${column.name} is ${column.nativeType} in ${file} and ${known.nativeType} in the files before it`,
					{ file, hint: `Write columns: { ${column.name}: { type: text } }, or put the file into another folder.` },
				);
			if (!sameType(type, known.type)) columns.set(column.name, { ...column, type });
		}
	return { columns: [...columns.values()], warnings: missingColumns(files, [...columns.keys()]) };
}

const INTEGERS = ["int8", "int16", "int32", "int64"];
const UNSIGNED = ["uint8", "uint16", "uint32", "uint64"];

/** Most digits of an integer type. */
const INTEGER_DIGITS: Readonly<Record<string, number>> = {
	int8: 3,
	uint8: 3,
	int16: 5,
	uint16: 5,
	int32: 10,
	uint32: 10,
	int64: 19,
	uint64: 20,
};

/** A type that holds every value of both; null when there is none but text. */
export function widerType(a: ColumnType, b: ColumnType): ColumnType | null {
	if (sameType(a, b)) return a;
	if (a.kind === "decimal" && b.kind === "decimal") {
		const scale = Math.max(a.scale, b.scale);
		const precision = Math.max(a.precision - a.scale, b.precision - b.scale) + scale;
		return precision <= 38 ? { kind: "decimal", precision, scale } : null;
	}
	const decimal = a.kind === "decimal" ? a : b.kind === "decimal" ? b : null;
	const digits = INTEGER_DIGITS[decimal === a ? b.kind : a.kind];
	if (decimal !== null) {
		const precision = Math.max(decimal.precision - decimal.scale, digits ?? 39) + decimal.scale;
		return precision <= 38 ? { kind: "decimal", precision, scale: decimal.scale } : null;
	}
	const signs = [a, b].map(({ kind }) => ({ signed: INTEGERS.indexOf(kind), unsigned: UNSIGNED.indexOf(kind) }));
	const [first, second] = [signs[0]!, signs[1]!];
	if (first.signed >= 0 && second.signed >= 0) return first.signed > second.signed ? a : b;
	if (first.unsigned >= 0 && second.unsigned >= 0) return first.unsigned > second.unsigned ? a : b;
	const signed = Math.max(first.signed, second.signed);
	const unsigned = Math.max(first.unsigned, second.unsigned);
	if (signed >= 0 && unsigned >= 0)
		return unsigned === 3
			? { kind: "decimal", precision: 20, scale: 0 }
			: ({ kind: INTEGERS[Math.max(signed, unsigned + 1)]! } as ColumnType);
	const kinds = new Set([a.kind, b.kind]);
	if (kinds.has("float32") && kinds.has("float64")) return { kind: "float64" };
	return kinds.has("json") && kinds.has("text") ? { kind: "text" } : null;
}

function missingColumns(
	files: readonly InspectedFile<{ readonly columns: readonly { readonly name: string }[] }>[],
	all: readonly string[],
): string[] {
	return files.flatMap(({ name, inspection }) => {
		const own = new Set(inspection.columns.map((column) => column.name));
		const missing = all.filter((column) => !own.has(column));
		return missing.length === 0 ? [] : [`${name} lacks ${missing.join(", ")}: NULL there`];
	});
}

/** The columns as a read gives them, by the policy for types. */
export function sourceColumns(found: FoundTable, types: TypePolicy): SourceColumn[] {
	return found.columns.map(({ name, type, nativeType }) => {
		const override = types.overrides?.[name];
		const wanted =
			override ??
			(types.mode === "string" ? { kind: "text" as const } : types.mode === "lenient" ? lenientType(type) : type);
		const isLossy = override === undefined && wanted.kind === "float64" && ["decimal", "uint64"].includes(type.kind);
		return {
			name,
			type: wanted,
			nullable: true,
			nativeType,
			fidelity: isLossy ? ("lossy" as const) : ("exact" as const),
			...(isLossy ? { note: "decimals become the nearest double" } : {}),
			...(override === undefined || sameType(override, type) ? {} : { note: `read as ${typeName(wanted)}` }),
		};
	});
}

/** Whether the values of a file that was not looked at before fit the columns of a read. */
export function fitsColumn(found: ColumnType, wanted: ColumnType): boolean {
	if (wanted.kind === "text" || wanted.kind === "json") return true;
	const wider = widerType(found, wanted);
	return wider !== null && sameType(wider, wanted);
}
