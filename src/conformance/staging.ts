import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { access, readFile, writeFile } from "node:fs/promises";
import type { Staging } from "../core/staging.ts";
import { type Case, type CaseBody, casesOf, rejectsWith, type Setup } from "./case.ts";

/** A staging place under test, empty at first. */
export interface StagingFixture extends AsyncDisposable {
	readonly staging: Staging;
	/** Another port on the same place; the caller closes it. */
	readonly reopen: () => Promise<Staging>;
}

export type StagingSetup = Setup<StagingFixture>;

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (content: Uint8Array | null) => (content === null ? null : new TextDecoder().decode(content));
const sha256 = (content: Uint8Array) => createHash("sha256").update(content).digest("hex");

async function stage(staging: Staging, path: string, content: string) {
	const write = await staging.create(path);
	await writeFile(write.localPath, content);
	return write.commit();
}

async function paths(staging: Staging, prefix: string): Promise<string[]> {
	return (await staging.list(prefix)).map((entry) => entry.path).sort();
}

const exists = (path: string) =>
	access(path).then(
		() => true,
		() => false,
	);

const ESCAPES = ["../out", "a/../../out", "/etc/out", "a/./b", "a//b", "..", ".", "", "a\\..\\b", "a/\0b", "a/.."];

const cases: readonly (readonly [string, CaseBody<StagingFixture>])[] = [
	[
		"check finds nothing wrong, and the location is told",
		async ({ staging }) => {
			assert.deepEqual(
				(await staging.check()).filter((finding) => finding.severity === "error"),
				[],
			);
			assert.notEqual(staging.location, "");
		},
	],
	[
		"a file has its name only after its commit, with its bytes and checksum",
		async ({ staging }) => {
			const write = await staging.create("run/part-1.bin");
			await writeFile(write.localPath, "rows");
			assert.equal(await staging.read("run/part-1.bin"), null, "before the commit");
			assert.deepEqual(await paths(staging, ""), [], "before the commit");
			assert.deepEqual(await write.commit(), { bytes: 4, sha256: sha256(bytes("rows")) });
			assert.equal(text(await staging.read("run/part-1.bin")), "rows");
			assert.deepEqual(await paths(staging, ""), ["run/part-1.bin"]);
		},
	],
	[
		"a file that was aborted or never committed is not there, nor its local copy after an abort",
		async ({ staging, reopen }) => {
			const aborted = await staging.create("run/aborted");
			await writeFile(aborted.localPath, "half");
			await aborted.abort();
			await aborted.abort();
			assert.equal(await exists(aborted.localPath), false);
			const left = await staging.create("run/left");
			await writeFile(left.localPath, "half");
			await using later = await reopen();
			assert.deepEqual(await paths(later, ""), []);
			assert.equal(await later.read("run/left"), null);
		},
	],
	[
		"two writes at once do not mix, and the same name again is a new file",
		async ({ staging }) => {
			const [a, b] = [await staging.create("run/a"), await staging.create("run/b")];
			assert.notEqual(a.localPath, b.localPath);
			await Promise.all([writeFile(a.localPath, "of a"), writeFile(b.localPath, "of b")]);
			await Promise.all([a.commit(), b.commit()]);
			assert.equal(text(await staging.read("run/a")), "of a");
			assert.equal(text(await staging.read("run/b")), "of b");
			await stage(staging, "run/a", "again");
			assert.equal(text(await staging.read("run/a")), "again");
		},
	],
	[
		"an empty file and one of many bytes are kept",
		async ({ staging }) => {
			const large = "0123456789abcdef".repeat(200_000);
			assert.deepEqual(await stage(staging, "run/empty", ""), { bytes: 0, sha256: sha256(bytes("")) });
			assert.deepEqual(await stage(staging, "run/large", large), { bytes: large.length, sha256: sha256(bytes(large)) });
			assert.equal((await staging.read("run/empty"))?.length, 0);
			assert.equal(text(await staging.read("run/large")), large);
		},
	],
	[
		"what is committed survives reopening",
		async ({ staging, reopen }) => {
			await stage(staging, "run/file", "rows");
			await staging.writeOnce("run/manifest.json", bytes("{}"));
			await staging[Symbol.asyncDispose]();
			await using later = await reopen();
			assert.deepEqual(await paths(later, ""), ["run/file", "run/manifest.json"]);
			assert.equal(text(await later.read("run/manifest.json")), "{}");
		},
	],
	[
		"writeOnce writes a file that is not there, and the same again is fine",
		async ({ staging, reopen }) => {
			await staging.writeOnce("m/1.json", bytes("one"));
			await staging.writeOnce("m/1.json", bytes("one"));
			await using later = await reopen();
			await later.writeOnce("m/1.json", bytes("one"));
			assert.equal(text(await later.read("m/1.json")), "one");
		},
	],
	[
		"writeOnce over other content is E_FENCED and leaves it",
		async ({ staging, reopen }) => {
			await staging.writeOnce("m/1.json", bytes("first"));
			await using later = await reopen();
			await rejectsWith("E_FENCED", later.writeOnce("m/1.json", bytes("second")));
			await rejectsWith("E_FENCED", later.writeOnce("m/1.json", bytes("")));
			await rejectsWith("E_FENCED", later.writeOnce("m/1.json", bytes("first and more")));
			assert.equal(text(await staging.read("m/1.json")), "first");
		},
	],
	[
		"of several writeOnce at once with other contents exactly one wins",
		async ({ staging, reopen }) => {
			await using other = await reopen();
			const contents = ["a", "b", "c", "d", "e", "f"];
			const writes = contents.map((content, i) => (i % 2 === 0 ? staging : other).writeOnce("m/raced", bytes(content)));
			const ends = await Promise.allSettled(writes);
			const won = contents.filter((_, i) => ends[i]?.status === "fulfilled");
			assert.equal(won.length, 1, `${won.length} of them won`);
			assert.equal(text(await staging.read("m/raced")), won[0]);
			for (const end of ends) if (end.status === "rejected") await rejectsWith("E_FENCED", Promise.reject(end.reason));
		},
	],
	[
		"reading what is not there gives null",
		async ({ staging }) => {
			await stage(staging, "a/b/c", "x");
			assert.equal(await staging.read("nothing"), null);
			assert.equal(await staging.read("a/b/nothing"), null);
			assert.equal(await staging.read("a/b/c/d"), null);
		},
	],
	[
		"list gives what is under a prefix, with sizes and times, and nothing when there is nothing",
		async ({ staging }) => {
			for (const path of ["a/1", "a/b/2", "ab/3", "c/4"]) await stage(staging, path, path);
			assert.deepEqual(await paths(staging, "a/"), ["a/1", "a/b/2"]);
			assert.deepEqual(await paths(staging, "a/b/"), ["a/b/2"]);
			assert.deepEqual(await paths(staging, ""), ["a/1", "a/b/2", "ab/3", "c/4"]);
			assert.deepEqual(await paths(staging, "none/"), []);
			const [entry] = await staging.list("a/b/");
			assert.equal(entry?.bytes, 5);
			assert.ok(Math.abs(Date.now() - Number(entry?.modifiedAt)) < 3_600_000, "the time of the write");
		},
	],
	[
		"remove removes exactly what it is told; what is gone already is fine",
		async ({ staging }) => {
			for (const path of ["a/1", "a/2", "a/22"]) await stage(staging, path, path);
			await staging.remove(["a/2", "a/never"]);
			assert.deepEqual(await paths(staging, ""), ["a/1", "a/22"]);
			await staging.remove(["a/2"]);
			await staging.remove([]);
			assert.deepEqual(await paths(staging, ""), ["a/1", "a/22"]);
			assert.equal(await staging.read("a/2"), null);
			await stage(staging, "a/2", "new");
			assert.equal(text(await staging.read("a/2")), "new");
		},
	],
	[
		"fetch gives a local copy, and disposing it leaves what is staged",
		async ({ staging }) => {
			const { sha256: sum } = await stage(staging, "a/1", "rows");
			for (const expected of [sum, undefined]) {
				await using copy = await staging.fetch("a/1", expected);
				assert.equal(await readFile(copy.localPath, "utf8"), "rows");
			}
			assert.equal(text(await staging.read("a/1")), "rows");
		},
	],
	[
		"fetch refuses a file with another checksum, and one that is not there",
		async ({ staging }) => {
			await stage(staging, "a/1", "rows");
			await rejectsWith("E_CORRUPT_FILE", staging.fetch("a/1", sha256(bytes("other"))));
			await rejectsWith(["E_CORRUPT_FILE", "E_FILE_NOT_FOUND"], staging.fetch("a/none", sha256(bytes("rows"))));
			await rejectsWith(["E_CORRUPT_FILE", "E_FILE_NOT_FOUND"], staging.fetch("a/none"));
		},
	],
	[
		"paths never leave the root, whatever is done with them",
		async ({ staging }) => {
			for (const path of ESCAPES) {
				await rejectsWith("E_PATH", staging.create(path));
				await rejectsWith("E_PATH", staging.writeOnce(path, bytes("x")));
				await rejectsWith("E_PATH", staging.read(path));
				await rejectsWith("E_PATH", staging.remove([path]));
				await rejectsWith("E_PATH", staging.fetch(path));
			}
			assert.deepEqual(await paths(staging, ""), []);
		},
	],
	[
		"names with percent signs, blanks and other letters are kept apart",
		async ({ staging }) => {
			const names = ["a/%2E%2E", "a/with space", "a/ünï-日本", "a/UPPER", "a/..hidden", "a/x=1&y"];
			for (const name of names) await stage(staging, name, name);
			assert.deepEqual(await paths(staging, ""), [...names].sort());
			for (const name of names) assert.equal(text(await staging.read(name)), name);
		},
	],
	[
		"closing twice is harmless",
		async ({ staging }) => {
			await staging[Symbol.asyncDispose]();
			await staging[Symbol.asyncDispose]();
		},
	],
];

/** What every staging place must do: whole files or none, one winner, and paths that stay inside. */
export function stagingSuite(setup: StagingSetup): Case[] {
	return casesOf(setup, cases);
}
