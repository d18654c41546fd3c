import {
	BATCH_ROWS_MAX,
	type Batch,
	type Column,
	type Field,
	HeadraceError,
	type TypePolicy,
} from "../../core/index.ts";
import { BatchCollector } from "../../formats/index.ts";
import { invalidText } from "./column-setters.ts";
import { placed, textPieces } from "./text-pieces.ts";

/** Rows of a text file on their way into batches; it knows each row's line for the sake of errors. */
export class TextRows {
	readonly #collector: BatchCollector;
	readonly #lines = new Int32Array(BATCH_ROWS_MAX);

	constructor(path: string, fields: readonly Field[], types: TypePolicy) {
		this.#collector = new BatchCollector(fields, (column, row) => {
			if (types.invalidText === "fail") throw invalidText(path, this.#lines[row]!, column.name);
			replaceText(column, row);
		});
	}

	get row(): number {
		return this.#collector.row;
	}

	column(index: number): Column {
		return this.#collector.columns[index]!;
	}

	finishRow(line: number, bytes: number): void {
		this.#lines[this.#collector.row] = line;
		this.#collector.finishRow(bytes);
	}

	/** Drives a cutter over the file. */
	async *batches(
		path: string,
		cutter: { push(piece: Buffer): void; end(): void },
		signal: AbortSignal | undefined,
	): AsyncGenerator<Batch, void, undefined> {
		try {
			for await (const piece of textPieces(path, signal)) {
				cutter.push(piece);
				for (const batch of this.#collector.take()) {
					yield batch;
					if (signal?.aborted === true) throw new HeadraceError("E_STOPPED", `stopped while ${path} was being read`);
				}
			}
			cutter.end();
			yield* this.#collector.take(true);
		} catch (error) {
			throw placed(error, path);
		} finally {
			this.#collector.dispose();
		}
	}
}

/** Puts U+FFFD for what is not UTF-8, and counts the value. */
function replaceText(column: Column, row: number): void {
	const bytes = column.bytes(row);
	const replaced = Buffer.from(new TextDecoder().decode(bytes), "utf8");
	column.setBytes(row, replaced, 0, replaced.length);
	column.changedCount++;
}
