import {
	Batch,
	Column,
	type ColumnType,
	type Field,
	type FileFormat,
	type FormatName,
	type TypeMapping,
	typeName,
} from "../../core/index.ts";
import { duckdbType, ParquetFormat } from "../../engine/index.ts";
import { csvFormat, jsonlFormat, setText, valueText } from "../../formats/index.ts";
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
export async function* storedBatches(
	batches: AsyncIterable<Batch>,
	fields: readonly Field[],
	format: FormatName,
): AsyncGenerator<Batch, void, undefined> {
	const intervals = fields.flatMap(({ type }, index) =>
		storedType(type, format) === type || type.kind === "list" ? [] : [index],
	);
	if (intervals.length === 0) {
		yield* batches;
		return;
	}
	for await (const batch of batches) yield new BatchWithText(batch, intervals);
}

/** A batch some of whose columns are replaced by their canonical text; it releases the batch that it is made from. */
class BatchWithText extends Batch {
	readonly #origin: Batch;

	constructor(origin: Batch, replaced: readonly number[]) {
		super(
			origin.columns.map((column, index) => (replaced.includes(index) ? textColumn(column, origin.rowCount) : column)),
			null,
		);
		this.#origin = origin;
		this.rowCount = origin.rowCount;
	}

	override release(): void {
		this.#origin.release();
	}
}

function textColumn(from: Column, rowCount: number): Column {
	const column = new Column(from.name, TEXT, Math.ceil(Math.max(1, rowCount) / 64) * 64);
	column.changedCount = from.changedCount;
	for (let row = 0; row < rowCount; row++) {
		const text = valueText(from, row);
		if (text === null) column.setNull(row);
		else setText(column, row, text);
	}
	return column;
}
