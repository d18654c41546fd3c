import { HeadraceError, type LocalCopy, type Staging } from "../../core/index.ts";
import type { LocalFile } from "./relation.ts";
import type { LakeFile } from "./table-state.ts";

/** Files that are fetched at once. */
const FETCHES_MAX = 4;

/** Files of the lake on this machine's disk, for as long as the work takes. */
export async function withLocal<Result>(
	store: Staging,
	files: readonly LakeFile[],
	work: (local: readonly LocalFile[]) => Promise<Result>,
): Promise<Result> {
	const copies: (LocalCopy | undefined)[] = [];
	const waiting = [...files.entries()];
	try {
		const fetched = await Promise.allSettled(
			Array.from({ length: FETCHES_MAX }, async () => {
				for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
					const [index, file] = next;
					copies[index] = await fetchFile(store, file);
				}
			}),
		);
		const failed = fetched.find((each) => each.status === "rejected");
		if (failed !== undefined) throw failed.reason;
		return await work(files.map((file, index) => ({ file, localPath: copies[index]!.localPath })));
	} finally {
		for (const copy of copies) await copy?.[Symbol.asyncDispose]();
	}
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
