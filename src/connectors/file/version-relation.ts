import type { Batch, Field } from "../../core/index.ts";
import { createTable, type EngineConnection, parquetRelation, selectList } from "../../engine/index.ts";

/** Files of one table version. */
export interface VersionFiles {
	readonly paths: readonly string[];
	readonly fields: readonly Field[];
	readonly read: (path: string, fields: readonly Field[]) => AsyncIterable<Batch>;
	readonly isParquet: boolean;
}

/**
 * The rows of a version as a relation: Parquet is read where it lies, text goes into a temporary table that may spill.
 */
export async function versionRelation(
	connection: EngineConnection,
	files: VersionFiles,
	bufferBytesMax: number,
): Promise<string> {
	const { fields, paths } = files;
	if (files.isParquet && paths.length > 0) return parquetRelation(paths, fields);
	await createTable(connection, "existing", fields);
	async function* batches() {
		for (const path of paths) yield* files.read(path, fields);
	}
	await connection.consume({
		fields,
		batches: batches(),
		statement: (relation) => `INSERT INTO existing SELECT ${selectList(fields)} FROM ${relation}`,
		bufferBytesMax,
		threads: 1,
	});
	return "existing";
}
