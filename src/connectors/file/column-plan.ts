import {
	type ColumnType,
	HeadraceError,
	lenientType,
	type SourceColumn,
	sameType,
	type TypePolicy,
	typeName,
	widerType,
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
