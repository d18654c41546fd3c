import assert from "node:assert/strict";
import { test } from "vitest";
import type { Staging } from "../../core/index.ts";
import { HeadraceError } from "../../core/index.ts";
import { type LogEntry, NumberedLog } from "./numbered-log.ts";

/** A store in memory, with what happens just after a file is written once. */
function memoryStore(afterWrite: (path: string) => void = () => {}) {
	const files = new Map<string, Uint8Array>();
	const store = {
		location: "memory",
		list: async (prefix: string) =>
			[...files]
				.filter(([path]) => path.startsWith(prefix))
				.map(([path, content]) => ({ path, bytes: content.length, modifiedAt: new Date() })),
		read: async (path: string) => files.get(path) ?? null,
		remove: async (paths: readonly string[]) => {
			for (const path of paths) files.delete(path);
		},
		writeOnce: async (path: string, content: Uint8Array) => {
			if (files.has(path)) throw new HeadraceError("E_FENCED", "it is there");
			files.set(path, content);
			afterWrite(path);
		},
	} as unknown as Staging;
	return { files, store };
}

const entry = (number: number, id: string, previous: string | null): LogEntry => ({
	format_version: 1,
	entry: number,
	id,
	previous_id: previous,
});
const path = (number: number) => `log/${String(number).padStart(20, "0")}.json`;
const content = (value: LogEntry) => new TextEncoder().encode(JSON.stringify(value));

test("of two entries with one number the first stays", async () => {
	const { store } = memoryStore();
	const log = new NumberedLog(store, "log/");
	assert.equal(await log.add(entry(1, "a", null)), true);
	assert.equal(await log.add(entry(1, "b", null)), false);
	assert.equal((await log.last())?.id, "a");
});

test("an entry on top of which another was added at once is there", async () => {
	const { files, store } = memoryStore(() => files.set(path(2), content(entry(2, "b", "a"))));
	assert.equal(await new NumberedLog(store, "log/").add(entry(1, "a", null)), true);
});

test("a number that was used and cleaned up is not ours: the entry is taken away again", async () => {
	const { files, store } = memoryStore();
	files.set(path(3), content(entry(3, "z", "y")));
	assert.equal(await new NumberedLog(store, "log/").add(entry(2, "mine", "x")), false);
	assert.deepEqual([...files.keys()], [path(3)]);
});

test("when what followed is cleaned up too, it is not claimed either way", async () => {
	const { files, store } = memoryStore();
	files.set(path(40), content(entry(40, "z", "y")));
	await assert.rejects(new NumberedLog(store, "log/").add(entry(2, "mine", "x")), { code: "E_CONNECTION_LOST" });
	assert.equal(files.has(path(2)), true);
});
