import {
	type Batch,
	type ColumnType,
	type Field,
	type FileFormat,
	type FormatName,
	type TypeMapping,
	typeName,
} from "../../core/index.ts";
import { duckdbType, ParquetFormat } from "../../engine/index.ts";
import { csvFormat, jsonlFormat, withText } from "../../formats/index.ts";
import type { FormatResources } from "./formats.ts";

const TEXT: ColumnType = { kind: "text" };

/** The type that a column has in the files: Parquet's own interval knows neither signs nor microseconds. */
export function storedType(type: ColumnType, format: FormatName): ColumnType {
	if (format !== "parquet") return type;
	if (type.kind === "interval") return TEXT;
	return type.kind === "list" && type.element.kind === "interval" ? { kind: "list", element: TEXT } : type;
}

/** How a type is kept in files of a format. */
export function storedMapping(type: ColumnType, format: FormatName): TypeMapping {
	if (format === "csv") return { destinationType: `${typeName(type)} as text`, fidelity: "exact" };
	if (format === "jsonl") {
		const isToken = type.kind === "boolean" || type.kind === "list" || /^(?:u?int\d|float)/.test(type.kind);
		return { destinationType: isToken ? typeName(type) : `${typeName(type)} as string`, fidelity: "exact" };
	}
	const stored = storedType(type, format);
	if (stored !== type)
		return {
			destinationType: duckdbType(stored),
			fidelity: "exact",
			note: "ISO 8601 text: Parquet has no such interval",
		};
	return { destinationType: duckdbType(type), fidelity: "exact" };
}

/** The format that writes a destination's files: text uncompressed, for whoever opens it. */
export function destinationFormat(format: FormatName, resources: FormatResources): FileFormat {
	if (format === "csv") return csvFormat({ compression: "none" });
	if (format === "jsonl") return jsonlFormat({ compression: "none" });
	return new ParquetFormat(resources);
}

/** Rows with the columns that files have: intervals become text where the format needs it. */
export function storedBatches(
	batches: AsyncIterable<Batch>,
	fields: readonly Field[],
	format: FormatName,
): AsyncIterable<Batch> {
	const intervals = fields.flatMap(({ type }, index) =>
		storedType(type, format) === type || type.kind === "list" ? [] : [index],
	);
	return withText(batches, intervals);
}
