import { writeFile } from "node:fs/promises";
import type { Staging } from "../../core/index.ts";

/** Writes a small file whole, in place of one that may be there: readers find the one or the other. */
export async function replaceFile(store: Staging, path: string, content: string): Promise<void> {
	const write = await store.create(path);
	try {
		await writeFile(write.localPath, content);
		await write.commit();
	} catch (error) {
		await write.abort();
		throw error;
	}
}
