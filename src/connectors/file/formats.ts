import { join } from "node:path";
import type { FileFormat } from "../../core/index.ts";
import { ParquetFormat } from "../../engine/index.ts";
import { csvFormat, jsonlFormat } from "../../formats/index.ts";

export interface FormatResources {
	/** Bound on the embedded engine that Parquet needs. */
	readonly memoryBytes?: number;
	/** Where the engine may spill. */
	readonly temporaryDirectory?: string;
}

/** The formats that files between extract and load may have: Parquet first, then compressed CSV and JSON lines. */
export async function stagedFormats(resources: FormatResources = {}): Promise<FileFormat[]> {
	// Each write and read has an engine of its own, whose spilled files must not meet another's.
	const parquet = () => new ParquetFormat(ownTemporaryFolder(resources));
	const { name, extension } = parquet();
	return [
		{
			name,
			extension,
			write: (request) => parquet().write(request),
			read: (localPath, fields) => parquet().read(localPath, fields),
		},
		csvFormat(),
		jsonlFormat(),
	];
}

let folders = 0;

/** The same resources with a temporary folder that no other engine uses: DuckDB's names of spilled files repeat. */
export function ownTemporaryFolder({ memoryBytes, temporaryDirectory }: FormatResources): FormatResources {
	return {
		...(memoryBytes === undefined ? {} : { memoryBytes }),
		...(temporaryDirectory === undefined
			? {}
			: { temporaryDirectory: join(temporaryDirectory, `engine-${process.pid}-${++folders}`) }),
	};
}
