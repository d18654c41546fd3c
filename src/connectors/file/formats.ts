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
	return [new ParquetFormat(resources), csvFormat(), jsonlFormat()];
}
