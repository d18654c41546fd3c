import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createLocalFolderStaging } from "../../src/connectors/local-folder/index.ts";

let folder = "";
beforeEach(async () => {
	folder = await mkdtemp(join(tmpdir(), "headrace-folder-"));
});
afterEach(async () => {
	await rm(folder, { recursive: true, force: true });
});

const bytes = (text: string) => new TextEncoder().encode(text);
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

async function put(root: string, path: string, text: string) {
	const staging = createLocalFolderStaging(root);
	const write = await staging.create(path);
	await writeFile(write.localPath, text);
	return write.commit();
}

/** Every name below a folder, temporary ones too. */
async function names(root: string): Promise<string[]> {
	return (await readdir(root, { recursive: true })).sort();
}

/** Runs a piece of a module in a process of its own, with a crash hook. */
function runChild(script: string, environment: Record<string, string> = {}) {
	const head = `import { createLocalFolderStaging } from ${JSON.stringify(join(import.meta.dirname, "../../src/connectors/local-folder/index.ts"))};
import { writeFile } from "node:fs/promises";
const staging = createLocalFolderStaging(${JSON.stringify(folder)});\n`;
	return spawnSync(process.execPath, ["--input-type=module", "-e", head + script], {
		env: { ...process.env, ...environment },
		encoding: "utf8",
	});
}

describe("local folder staging", () => {
	it("gives a file its name only when it is whole, and says its size and checksum", async () => {
		const staging = createLocalFolderStaging(folder);
		const write = await staging.create("a/b/part.parquet");
		await writeFile(write.localPath, "content");
		expect(await staging.list("")).toEqual([]);
		expect(await write.commit()).toEqual({ bytes: 7, sha256: sha256("content") });
		expect((await staging.list("a/")).map(({ path, bytes }) => ({ path, bytes }))).toEqual([
			{ path: "a/b/part.parquet", bytes: 7 },
		]);
		expect(await names(folder)).toEqual(["a", "a/b", "a/b/part.parquet"]);
		expect((await stat(join(folder, "a/b/part.parquet"))).mode & 0o777).toBe(0o600);
		expect((await stat(join(folder, "a/b"))).mode & 0o777).toBe(0o700);
		expect(Buffer.from((await staging.read("a/b/part.parquet"))!).toString()).toBe("content");
		expect(await staging.read("a/b/none")).toBeNull();
		expect(await staging.read("a/b/part.parquet/below")).toBeNull();
	});

	it("leaves nothing of a write that is given up", async () => {
		const write = await createLocalFolderStaging(folder).create("a");
		await writeFile(write.localPath, "content");
		await write.abort();
		expect(await names(folder)).toEqual([]);
	});

	it("lists by prefix of the whole path", async () => {
		for (const path of ["p/s/files/1/x", "p/s2/files/1/x", "p/s/manifests/1", "q"]) await put(folder, path, "x");
		const staging = createLocalFolderStaging(folder);
		const list = async (prefix: string) => (await staging.list(prefix)).map((entry) => entry.path);
		expect(await list("p/s/")).toEqual(["p/s/files/1/x", "p/s/manifests/1"]);
		expect(await list("p/s")).toEqual(["p/s/files/1/x", "p/s/manifests/1", "p/s2/files/1/x"]);
		expect(await list("none/")).toEqual([]);
		await staging.remove(["p/s/files/1/x", "p/s/files/1/x", "gone"]);
		expect(await list("p/s/")).toEqual(["p/s/manifests/1"]);
		expect(await names(join(folder, "p/s"))).toEqual(["manifests", "manifests/1"]);
	});

	it("writes once: equal content again is fine, other content is fenced", async () => {
		const staging = createLocalFolderStaging(folder);
		await staging.writeOnce("m/1.json", bytes("one"));
		await staging.writeOnce("m/1.json", bytes("one"));
		await expect(staging.writeOnce("m/1.json", bytes("two"))).rejects.toMatchObject({ code: "E_FENCED" });
		expect(await readFile(join(folder, "m/1.json"), "utf8")).toBe("one");
		expect(await names(folder)).toEqual(["m", "m/1.json"]);
	});

	it("lets one of many writers win", async () => {
		const staging = createLocalFolderStaging(folder);
		const results = await Promise.allSettled(
			Array.from({ length: 20 }, (_, index) => staging.writeOnce("m/1.json", bytes(`writer ${index}`))),
		);
		expect(results.filter((result) => result.status === "fulfilled")).toHaveLength(1);
		for (const result of results)
			if (result.status === "rejected") expect(result.reason).toMatchObject({ code: "E_FENCED" });
	});

	it("checks a fetched file against its checksum", async () => {
		await put(folder, "f", "content");
		const staging = createLocalFolderStaging(folder);
		await using copy = await staging.fetch("f", sha256("content"));
		expect(await readFile(copy.localPath, "utf8")).toBe("content");
		await expect(staging.fetch("f", sha256("other"))).rejects.toMatchObject({ code: "E_CORRUPT_FILE" });
		await expect(staging.fetch("gone", sha256("other"))).rejects.toMatchObject({ code: "E_CORRUPT_FILE" });
		await expect(staging.fetch("gone")).rejects.toMatchObject({ code: "E_CORRUPT_FILE" });
	});

	it.each(["/etc/passwd", "../x", "a/../../x", "a/./b", "a//b", "", "a/", "a\\b", "a\0b", ".tmp-1", ".."])(
		"refuses the path %j everywhere",
		async (path) => {
			const staging = createLocalFolderStaging(join(folder, "root"));
			for (const attempt of [
				() => staging.create(path),
				() => staging.writeOnce(path, bytes("x")),
				() => staging.read(path),
				() => staging.remove([path]),
				() => staging.fetch(path),
			])
				await expect(attempt()).rejects.toMatchObject({ code: "E_PATH" });
			expect(await names(folder)).toEqual(["root"]);
		},
	);

	it("follows no symbolic link, neither of a file nor of a folder", async () => {
		const outside = await mkdtemp(join(tmpdir(), "headrace-outside-"));
		try {
			await writeFile(join(outside, "secret"), "secret");
			await symlink(join(outside, "secret"), join(folder, "link"));
			await symlink(outside, join(folder, "dir"));
			const staging = createLocalFolderStaging(folder);
			for (const path of ["link", "dir/secret"]) {
				for (const attempt of [
					() => staging.read(path),
					() => staging.fetch(path, sha256("secret")),
					() => staging.create(path),
					() => staging.writeOnce(path, bytes("x")),
					() => staging.remove([path]),
				])
					await expect(attempt()).rejects.toMatchObject({ code: "E_PATH" });
			}
			expect(await staging.list("")).toEqual([]);
			await expect(staging.list("dir/")).rejects.toMatchObject({ code: "E_PATH" });
			expect(await readFile(join(outside, "secret"), "utf8")).toBe("secret");
		} finally {
			await rm(outside, { recursive: true });
		}
	});

	it("takes percent signs as they are", async () => {
		await put(folder, "%2e%2e/x", "content");
		expect(await names(folder)).toEqual(["%2e%2e", "%2e%2e/x"]);
	});

	it.each([
		["folder-file-synced", []],
		["folder-file-renamed", ["a", "a/part"]],
	])("killed at %s: a file is there whole or not at all, and the next process clears the rest", async (point, left) => {
		const result = runChild(
			`const write = await staging.create("a/part"); await writeFile(write.localPath, "content"); await write.commit();`,
			{ HEADRACE_CRASH: point },
		);
		expect(result.signal).toBe("SIGKILL");
		const staging = createLocalFolderStaging(folder);
		expect((await staging.list("")).map((entry) => entry.path)).toEqual(left.filter((path) => path.includes("/")));
		expect((await names(folder)).filter((name) => name !== "a")).toEqual(left.filter((path) => path !== "a"));
		if (left.length > 0) expect(await readFile(join(folder, "a/part"), "utf8")).toBe("content");
	});

	it.each([
		["folder-once-written", false],
		["folder-once-linked", true],
	])("killed at %s: the manifest is there whole or not at all, and writing it again succeeds", async (point, there) => {
		const result = runChild(`await staging.writeOnce("m/1", new TextEncoder().encode("content"));`, {
			HEADRACE_CRASH: point,
		});
		expect(result.signal).toBe("SIGKILL");
		const staging = createLocalFolderStaging(folder);
		const found = await staging.read("m/1");
		expect(found === null ? null : Buffer.from(found).toString()).toBe(there ? "content" : null);
		await staging.writeOnce("m/1", bytes("content"));
		expect(await names(folder)).toEqual(["m", "m/1"]);
	});

	it("killed while it writes: no partial file has a name", async () => {
		const result = runChild(
			`const write = await staging.create("a/part"); await writeFile(write.localPath, "cont"); process.kill(process.pid, "SIGKILL");`,
		);
		expect(result.signal).toBe("SIGKILL");
		expect((await names(folder)).every((name) => name.startsWith(".tmp-"))).toBe(true);
		expect(await createLocalFolderStaging(folder).list("")).toEqual([]);
		expect(await names(folder)).toEqual([]);
	});

	it("leaves the temporary files of living processes and of other machines alone, but not for ever", async () => {
		const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
		try {
			const write = await createLocalFolderStaging(folder).create("a");
			const host = /\.tmp-([0-9a-f]{8})-/.exec(write.localPath)![1];
			const living = `.tmp-${host}-${child.pid}-0123456789ab`;
			const foreign = ".tmp-ffffffff-1-0123456789ab";
			const old = ".tmp-ffffffff-2-0123456789ab";
			const reborn = `.tmp-${host}-${process.pid}-0123456789ab`;
			for (const name of [living, foreign, old, reborn]) await writeFile(join(folder, name), "x");
			await writeFile(write.localPath, "x");
			await utimes(join(folder, old), new Date(0), new Date(0));
			await createLocalFolderStaging(folder).list("");
			expect(await names(folder)).toEqual([living, foreign, write.localPath.slice(folder.length + 1)].sort());
			await write.abort();
		} finally {
			child.kill("SIGKILL");
		}
	});

	it("says so when the disk is full, and leaves nothing", async () => {
		// A limit on the size of files stands in for a full disk: both come from write(2).
		const module = JSON.stringify(join(import.meta.dirname, "../../src/connectors/local-folder/index.ts"));
		const script = `import { createLocalFolderStaging } from ${module};
process.on("SIGXFSZ", () => {});
const staging = createLocalFolderStaging(${JSON.stringify(folder)});
try { await staging.writeOnce("m/1", new Uint8Array(1 << 20)); console.log("written"); } catch (error) { console.log(error.code); }`;
		const result = spawnSync(
			"sh",
			["-c", 'ulimit -f 100; exec "$0" "$@"', process.execPath, "--input-type=module", "-e", script],
			{
				encoding: "utf8",
				env: { ...process.env, NODE_COMPILE_CACHE: "" },
			},
		);
		expect(result.stdout.trim()).toBe("E_NO_SPACE");
		expect(await names(folder)).toEqual([]);
	});

	it("checks that it can write, and warns of a folder that others can look into", async () => {
		await chmod(folder, 0o755);
		const findings = await createLocalFolderStaging(folder).check();
		expect(findings[0]).toMatchObject({ severity: "ok" });
		expect(findings.find((finding) => finding.remedy?.startsWith("chmod 700"))).toMatchObject({ severity: "warning" });
		expect(await names(folder)).toEqual([]);
		await writeFile(join(folder, "file"), "");
		const broken = await createLocalFolderStaging(join(folder, "file/below")).check();
		expect(broken).toMatchObject([{ severity: "error" }]);
	});
});
