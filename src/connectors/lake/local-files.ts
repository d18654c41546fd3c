import { eachOf, HeadraceError, type LocalCopy, type Staging } from "../../core/index.ts";
import type { LocalFile } from "./relation.ts";
import type { LakeFile } from "./table-state.ts";

/** Files that are fetched at once. */
const FETCHES_MAX = 4;

/** Files of the lake on this machine's disk, for as long as it is not disposed. */
export class LocalFiles implements AsyncDisposable {
	readonly files: readonly LocalFile[];
	readonly #copies: readonly LocalCopy[];

	private constructor(files: readonly LakeFile[], copies: readonly LocalCopy[]) {
		this.files = files.map((file, index) => ({ file, localPath: copies[index]!.localPath }));
		this.#copies = copies;
	}

	static async open(store: Staging, files: readonly LakeFile[]): Promise<LocalFiles> {
		const copies: (LocalCopy | undefined)[] = [];
		try {
			await eachOf(FETCHES_MAX, [...files.entries()], async ([index, file]) => {
				copies[index] = await fetchFile(store, file);
			});
			return new LocalFiles(files, copies as LocalCopy[]);
		} catch (error) {
			for (const copy of copies) await copy?.[Symbol.asyncDispose]();
			throw error;
		}
	}

	async [Symbol.asyncDispose](): Promise<void> {
		for (const copy of this.#copies) await copy[Symbol.asyncDispose]();
	}
}

/** Files of the lake on this machine's disk, for as long as the work takes. */
export async function withLocal<Result>(
	store: Staging,
	files: readonly LakeFile[],
	work: (local: readonly LocalFile[]) => Promise<Result>,
): Promise<Result> {
	await using local = await LocalFiles.open(store, files);
	return await work(local.files);
}

/** A file that a commit names is only ever gone when its removal was committed long ago. */
async function fetchFile(store: Staging, file: LakeFile): Promise<LocalCopy> {
	try {
		return await store.fetch(file.path);
	} catch (error) {
		if (!(error instanceof HeadraceError) || error.reaction === "retry") throw error;
		throw new HeadraceError("E_CORRUPT_FILE", `the file ${file.path} of the lake can't be read`, {
			file: file.path,
			hint: "Restore it from a version of the bucket or a backup, or load the table anew with --full-refresh.",
			cause: error,
		});
	}
}
