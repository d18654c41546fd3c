import { randomBytes } from "node:crypto";
import {
	type Batch,
	crashPoint,
	type Destination,
	type Field,
	type FileFormat,
	HeadraceError,
	type ManifestFile,
	ROW_NUMBER_COLUMN,
	type StagedWrite,
	type Staging,
} from "../core/index.ts";
import { withRowNumbers } from "./row-numbers.ts";
import { type TableTask, targetFields } from "./task.ts";

/** How files are made of a table's rows. */
export interface FileForm {
	/** Of the batches. */
	readonly fields: readonly Field[];
	/** As in the files. */
	readonly stored: readonly Field[];
	/** What stands for NULL in files of text; set where the rows are numbered, too. */
	readonly nullText?: string;
}

/**
 * For a destination that reads files by itself: with its types, and with the rows numbered. `id` is hex that is drawn
 * anew for each extract: a value that happens to equal what stands for NULL then fails once, and not for ever.
 */
export function fileForm(
	destination: Pick<Destination, "fileFields">,
	task: TableTask,
	id: string = randomBytes(4).toString("hex"),
): FileForm {
	const fields = targetFields(task);
	if (destination.fileFields === undefined) return { fields, stored: fields };
	return numberedForm(fields, destination.fileFields(task.target), id);
}

/** See `fileForm`: rows of `fields`, of which files have the types of `stored`. */
export function numberedForm(fields: readonly Field[], stored: readonly Field[], id: string): Required<FileForm> {
	const row: Field = { name: ROW_NUMBER_COLUMN, type: { kind: "int64" }, nullable: false };
	return { fields: [...fields, row], stored: [...stored, row], nullText: `NULL-${id.slice(0, 8)}` };
}

export interface FilesToStage {
	readonly staging: Staging;
	readonly format: FileFormat;
	readonly form: FileForm;
	readonly batches: AsyncIterable<Batch>;
	/** Number of the first row, where rows are numbered; default 0. */
	readonly firstRow?: number;
	/** Before each file's number. */
	readonly prefix: string;
	readonly bufferBytesMax: number;
}

/** Batches → durable files. When it throws, none of them stays. */
export async function writeFiles(request: FilesToStage): Promise<ManifestFile[]> {
	const { staging, format, form, batches, firstRow = 0, prefix, bufferBytesMax } = request;
	const { fields, stored, nullText } = form;
	const files: ManifestFile[] = [];
	const open = new Map<string, { readonly path: string; readonly write: StagedWrite }>();
	let begun = 0;
	try {
		await format.write({
			fields,
			...(nullText === undefined ? { batches } : { batches: withRowNumbers(batches, firstRow), stored, nullText }),
			nextPath: async () => {
				const path = `${prefix}part-${String(begun++).padStart(5, "0")}.${format.extension}`;
				const write = await staging.create(path);
				open.set(write.localPath, { path, write });
				crashPoint("c02");
				return write.localPath;
			},
			written: async (localPath, rows) => {
				const file = open.get(localPath);
				if (file === undefined) throw new HeadraceError("E_INTERNAL", "a file was written that was not begun");
				crashPoint("c03");
				files.push({ path: file.path, rows, ...(await file.write.commit()) });
				open.delete(localPath);
			},
			bufferBytesMax,
		});
	} catch (error) {
		for (const { write } of open.values()) await write.abort().catch(() => {});
		await staging.remove(files.map((file) => file.path)).catch(() => {});
		throw error;
	}
	// Several are written at once and end in any order; a load takes them in the order of their rows.
	return files.sort((x, y) => (x.path < y.path ? -1 : 1));
}
