import type { Field, FileFormat, FormatName, WriteFilesRequest } from "../core/index.ts";
import { CompressedFile, type Compression, compressionEnding } from "./compressed.ts";
import { type CsvOptions, csvEncoder, csvHeader } from "./csv.ts";
import type { RowEncoder } from "./encoder.ts";
import { jsonlEncoder } from "./jsonl.ts";
import { readCsvFile, readJsonlFile } from "./text-files.ts";

/** A file is closed and the next begun at about this many bytes on disk. */
export const FILE_BYTES_TARGET = 64 << 20;

export interface TextFormatOptions {
	/** Default gzip, which every warehouse loads. */
	readonly compression?: Compression;
	/** Bytes on disk at which the next file begins; default 64 MiB. */
	readonly fileBytesTarget?: number;
}

/** CSV files as `csvEncoder` writes them. */
export function csvFormat(options: TextFormatOptions & CsvOptions = {}): FileFormat {
	const header = options.header ?? true;
	return textFormat("csv", options, {
		encoderOf: (fields, nullText) => csvEncoder(fields, nullText === undefined ? options : { ...options, nullText }),
		headerOf: header ? csvHeader : () => null,
		read: (path, fields) => readCsvFile(path, fields, options),
	});
}

/** JSON lines as `jsonlEncoder` writes them. */
export function jsonlFormat(options: TextFormatOptions = {}): FileFormat {
	return textFormat("jsonl", options, {
		encoderOf: (fields) => jsonlEncoder(fields),
		headerOf: () => null,
		read: (path, fields) => readJsonlFile(path, fields),
	});
}

interface TextCoding {
	readonly encoderOf: (fields: readonly Field[], nullText?: string) => RowEncoder;
	readonly headerOf: (fields: readonly Field[]) => Buffer | null;
	readonly read: FileFormat["read"];
}

function textFormat(name: FormatName, options: TextFormatOptions, coding: TextCoding): FileFormat {
	const compression = options.compression ?? "gzip";
	return {
		name,
		extension: name + compressionEnding(compression),
		read: coding.read,
		write: (request) => {
			const files = new RotatingFiles(
				request,
				compression,
				options.fileBytesTarget ?? FILE_BYTES_TARGET,
				coding.headerOf(request.fields),
			);
			return writeFiles(request, coding.encoderOf(request.fields, request.nullText), files);
		},
	};
}

/** The files of one write, one after the other; none is begun before there is a row for it. */
class RotatingFiles {
	readonly #request: WriteFilesRequest;
	readonly #compression: Compression;
	readonly #bytesTarget: number;
	readonly #header: Buffer | null;
	#file: CompressedFile | null = null;
	#rows = 0;

	constructor(request: WriteFilesRequest, compression: Compression, bytesTarget: number, header: Buffer | null) {
		this.#request = request;
		this.#compression = compression;
		this.#bytesTarget = bytesTarget;
		this.#header = header;
	}

	/** Rows that are encoded since the last `write`; they belong to the file that their bytes go to. */
	count(rows: number): void {
		this.#rows += rows;
	}

	get full(): boolean {
		return this.#file !== null && this.#file.bytesWritten >= this.#bytesTarget;
	}

	async write(piece: Buffer): Promise<void> {
		if (this.#file === null) {
			this.#file = new CompressedFile(await this.#request.nextPath(), this.#compression);
			if (this.#header !== null) await this.#file.write(this.#header);
		}
		await this.#file.write(piece);
	}

	async finish(): Promise<void> {
		const file = this.#file;
		if (file === null) return;
		await file.close();
		this.#file = null;
		const rows = this.#rows;
		this.#rows = 0;
		await this.#request.written(file.path, rows);
	}

	async abandon(): Promise<void> {
		await this.#file?.abandon();
	}
}

async function writeFiles(request: WriteFilesRequest, encoder: RowEncoder, files: RotatingFiles): Promise<void> {
	try {
		for await (const batch of request.batches) {
			try {
				for (let row = 0; row < batch.rowCount; ) {
					const { nextRow, piece } = encoder.encode(batch, row);
					files.count(nextRow - row);
					row = nextRow;
					if (piece !== null) await files.write(piece);
				}
			} finally {
				batch.release();
			}
			if (files.full) {
				// What is encoded belongs to this file: its rows are counted.
				const rest = encoder.flush();
				if (rest !== null) await files.write(rest);
				await files.finish();
			}
		}
		const rest = encoder.flush();
		if (rest !== null) await files.write(rest);
		await files.finish();
	} catch (error) {
		await files.abandon();
		throw error;
	}
}
