import { type Field, sameType } from "../../core/index.ts";
import { duckdbType } from "../../engine/index.ts";
import { duckdbDialect } from "../../sql/index.ts";
import { fieldsOf, type LakeFile, type StoredColumn } from "./table-state.ts";

const { quoteIdentifier, quoteLiteral } = duckdbDialect;

/** A file of the lake on this machine's disk. */
export interface LocalFile {
	readonly file: LakeFile;
	readonly localPath: string;
}

/**
 * The rows of files as one relation with the columns of `fields`: each file is read under the columns that it has, cast
 * to wider types, with NULL in columns that came later. `place` adds a column with the file's local path.
 */
export function relationOf(
	files: readonly LocalFile[],
	schemas: Readonly<Record<string, readonly StoredColumn[]>>,
	fields: readonly Field[],
	place?: string,
): string {
	const groups = Map.groupBy(files, ({ file }) => file.schema);
	const extra = place === undefined ? [] : [quoteIdentifier(place)];
	const parts = [...groups].map(([schema, group]) => {
		const own = fieldsOf(schemas[schema] ?? []);
		const items = fields.map((field) =>
			item(
				field,
				own.find((other) => other.name === field.name),
			),
		);
		const paths = group.map(({ localPath }) => pathLiteral(localPath)).join(", ");
		const options = `binary_as_string = false, hive_partitioning = false${place === undefined ? "" : `, filename = ${quoteLiteral(place)}`}`;
		return `SELECT ${[...items, ...extra].join(", ")} FROM read_parquet([${paths}], ${options})`;
	});
	if (parts.length > 0) return `(${parts.join(" UNION ALL ")})`;
	const none = [
		...fields.map((field) => item(field, undefined)),
		...(place === undefined ? [] : [`'' AS ${quoteIdentifier(place)}`]),
	];
	return `(SELECT ${none.join(", ")} WHERE false)`;
}

/** Columns of files that all have them. */
export function relationOfPaths(localPaths: readonly string[], columns: readonly string[]): string {
	const paths = localPaths.map(pathLiteral).join(", ");
	return `(SELECT ${columns.map(quoteIdentifier).join(", ")} FROM read_parquet([${paths}], binary_as_string = false))`;
}

function item(field: Field, own: Field | undefined): string {
	const name = quoteIdentifier(field.name);
	if (own === undefined) return `CAST(NULL AS ${duckdbType(field.type)}) AS ${name}`;
	return sameType(own.type, field.type) ? name : `CAST(${name} AS ${duckdbType(field.type)}) AS ${name}`;
}

/** A path as a literal that DuckDB takes as the one file of that name: in its globs a set of one stands for itself. */
const pathLiteral = (path: string) => quoteLiteral(path.replace(/[*?[]/g, "[$&]"));
