import { writeFile } from "node:fs/promises";
import type { Field, FormatName } from "../../core/index.ts";
import { duckdbType, openFileWriter } from "../../engine/index.ts";
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
	await using writer = await openFileWriter(path);
	await using connection = await writer.engine.connect();
	const written = duckdbDialect.quoteLiteral(await writer.begin(path));
	await connection.execute(
		`COPY (SELECT ${items.join(", ")} WHERE false) TO ${written} (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)`,
	);
	await writer.deliver(path);
	writer.done();
}
