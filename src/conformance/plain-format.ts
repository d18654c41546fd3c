import { readFileSync, writeFileSync } from "node:fs";
import { BatchPool, type Field } from "../core/batch.ts";
import { HeadraceError } from "../core/errors.ts";
import type { FileFormat } from "../core/staging.ts";
import { batchesOf, rowText, type TextRow } from "./rows.ts";

/**
 * A file format for tests: each line is a row as a JSON array of canonical texts. It begins a new file every
 * `rowsPerFile` rows, holds a file's rows in memory until then, and takes no engine.
 */
export function plainFormat(rowsPerFile = Number.POSITIVE_INFINITY): FileFormat {
	// Many small files of one shape are read: their batches are made once.
	const pools = new Map<string, BatchPool>();
	const poolOf = (fields: readonly Field[]): BatchPool => {
		const shape = JSON.stringify(fields);
		const pool = pools.get(shape) ?? new BatchPool(fields);
		pools.set(shape, pool);
		return pool;
	};
	return {
		name: "jsonl",
		extension: "rows.jsonl",
		write: async ({ batches, nextPath, written }) => {
			let open: { readonly path: string; readonly lines: string[] } | null = null;
			const close = async (): Promise<void> => {
				if (open === null) return;
				const { path, lines } = open;
				open = null;
				writeFileSync(path, lines.join(""));
				await written(path, lines.length);
			};
			for await (const batch of batches) {
				try {
					for (let row = 0; row < batch.rowCount; row++) {
						open ??= { path: await nextPath(), lines: [] };
						open.lines.push(`${JSON.stringify(rowText(batch, row))}\n`);
						if (open.lines.length >= rowsPerFile) await close();
					}
				} finally {
					batch.release();
				}
			}
			await close();
		},
		read: (path, fields) => {
			const lines = readFileSync(path, "utf8").split("\n");
			// A file that was cut off has no line end at its end.
			if (lines.pop() !== "") throw new HeadraceError("E_CORRUPT_FILE", "a staged file ends within a row");
			const rows = lines.map((line) => JSON.parse(line) as TextRow);
			return batchesOf(fields, rows, undefined, poolOf(fields));
		},
	};
}
