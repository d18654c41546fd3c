import { writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { Field, FormatName } from "../../core/index.ts";
import { duckdbType, Engine } from "../../engine/index.ts";
import { csvHeader } from "../../formats/index.ts";
import { duckdbDialect } from "../../sql/index.ts";

/** A file without rows that still says what columns there are, where the format can. */
export async function writeEmptyFile(path: string, fields: readonly Field[], format: FormatName): Promise<void> {
	if (format !== "parquet") {
		await writeFile(path, format === "csv" ? csvHeader(fields) : "");
		return;
	}
	const items = fields.map(
		(field) => `CAST(NULL AS ${duckdbType(field.type)}) AS ${duckdbDialect.quoteIdentifier(field.name)}`,
	);
	await using engine = await Engine.open({ allowedDirectories: [dirname(path)] });
	await using connection = await engine.connect();
	await connection.execute(
		`COPY (SELECT ${items.join(", ")} WHERE false) TO ${duckdbDialect.quoteLiteral(path)} (FORMAT parquet, COMPRESSION zstd)`,
	);
}
