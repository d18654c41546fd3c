import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { HeadraceError } from "../core/errors.ts";
import type { FileFormat } from "../core/staging.ts";
import { batchesOf, rowText, type TextRow } from "./rows.ts";

/**
 * A file format for tests: each line is a row as a JSON array of canonical texts. It begins a new file every
 * `rowsPerFile` rows, writes row by row, and takes no engine.
 */
export function plainFormat(rowsPerFile = Number.POSITIVE_INFINITY): FileFormat {
	return {
		name: "jsonl",
		extension: "rows.jsonl",
		write: async ({ batches, nextPath, written }) => {
			let open: { readonly path: string; readonly file: number; rows: number } | null = null;
			const close = async (): Promise<void> => {
				if (open === null) return;
				const { path, file, rows } = open;
				closeSync(file);
				open = null;
				await written(path, rows);
			};
			try {
				for await (const batch of batches) {
					try {
						for (let row = 0; row < batch.rowCount; row++) {
							if (open === null) {
								const path = await nextPath();
								open = { path, file: openSync(path, "w"), rows: 0 };
							}
							writeSync(open.file, `${JSON.stringify(rowText(batch, row))}\n`);
							open.rows++;
							if (open.rows >= rowsPerFile) await close();
						}
					} finally {
						batch.release();
					}
				}
				await close();
			} finally {
				if (open !== null) closeSync((open as { readonly file: number }).file);
			}
		},
		read: (path, fields) => {
			const lines = readFileSync(path, "utf8").split("\n");
			// A file that was cut off has no line end at its end.
			if (lines.pop() !== "") throw new HeadraceError("E_CORRUPT_FILE", "a staged file ends within a row");
			return batchesOf(
				fields,
				lines.map((line) => JSON.parse(line) as TextRow),
			);
		},
	};
}
