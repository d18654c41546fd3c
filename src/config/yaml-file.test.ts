import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { type HeadraceError, HeadraceErrors } from "../core/errors.ts";
import { checkPipelineText, loadPipeline } from "./index.ts";

const ENV = {};

function project(files: Record<string, string>): string {
	const folder = mkdtempSync(join(tmpdir(), "headrace-config-"));
	for (const [name, text] of Object.entries(files)) {
		mkdirSync(dirname(join(folder, name)), { recursive: true });
		writeFileSync(join(folder, name), text);
	}
	return folder;
}

async function faultsOf(work: () => unknown): Promise<readonly HeadraceError[]> {
	try {
		await work();
	} catch (error) {
		if (error instanceof HeadraceErrors) return error.errors;
		throw error;
	}
	throw new Error("nothing was thrown");
}

const check = (text: string, env: Record<string, string> = ENV, directory = "/project") =>
	checkPipelineText(text, { file: `${directory}/pipelines/shop.yaml`, directory, env });

/** `2:3 E_CODE message` of every fault. */
async function shown(text: string, env = ENV): Promise<string[]> {
	const faults = await faultsOf(() => check(text, env));
	return faults.map(({ place, code, message }) => `${place.line ?? "-"}:${place.column ?? "-"} ${code} ${message}`);
}

describe("hostile YAML", () => {
	const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${"bcdefgh"
		.split("")
		.map((name, index) => `${name}: &${name} [${Array(9).fill(`*${"abcdefg"[index]}`).join(",")}]`)
		.join("\n")}`;

	test.each([
		["from: a\n\tto: b", "2:1 E_YAML a tab can't indent in YAML; use spaces"],
		["a: {\n\tb: 1}", "E_YAML a tab can't indent"],
		["from: ./a\nfrom: ./b\nto: ./c\ntables: { a: {} }", '2:1 E_YAML the key "from" is written twice'],
		['tables:\n  a: {}\n  "a": {}\nfrom: ./a\nto: ./b', '3:3 E_YAML the key "a" is written twice'],
		[bomb, "E_YAML aliases repeat too many values"],
		["a: &a [*a]", "E_YAML"],
		["a: &a { <<: *a }\nfrom: ./a", "E_"],
		["a: *x", "E_YAML"],
		["a: { <<: 5 }", "E_YAML `<<` merges maps only"],
		["[".repeat(100_000), "E_YAML brackets are nested too deeply"],
		["- ".repeat(50_000), "E_YAML the file is nested too deeply"],
		["", "1:1 E_YAML the file is empty"],
		["- a", "E_YAML the file must be a map"],
		["just text", "E_YAML the file must be a map"],
		["a: 1\n---\nb: 2", "2:1 E_YAML the file holds a second YAML document"],
		["a: !!js/function x", "1:4 E_YAML a tag (!…) has no meaning here"],
		["%YAML 1.1\n---\na: off", "E_YAML Headrace reads YAML 1.2"],
		["a: @x", "1:4 E_YAML a value that begins with @ needs quotes"],
		["a: b: c", "1:4 E_YAML a value that contains `: ` needs quotes"],
		['a: "x', "E_YAML Missing closing"],
		["__proto__: { a: 1 }\nfrom: ./a", "1:1 E_YAML the key __proto__ can't be used"],
		["? [a]\n: 1", "E_YAML a key must be plain text"],
		["? \n: 1", "E_YAML a key must be plain text"],
		["a".repeat(1_000_001), "E_YAML the file is larger than 1 MB"],
	])("%#", async (text, expected) => {
		const started = performance.now();
		expect((await shown(text)).join("\n")).toContain(expected);
		expect(performance.now() - started).toBeLessThan(10_000);
	});

	test("files that are too large, not text, or not files", async () => {
		const folder = project({ "big.yaml": "x".repeat(1_000_001) });
		writeFileSync(join(folder, "latin.yaml"), Buffer.from([0x61, 0x3a, 0x20, 0xe9, 0x0a]));
		writeFileSync(join(folder, "utf16.yaml"), Buffer.from("\uFEFFa: 1\n", "utf16le"));
		// A replacement character that is one, then a byte of Latin-1.
		const mixed = Buffer.concat([Buffer.from("# \uFFFD ä\na: b\nc: "), Buffer.from([0xe9, 0x0a])]);
		writeFileSync(join(folder, "mixed.yaml"), mixed);
		const [fault] = await faultsOf(() => loadPipeline(folder, "mixed", { env: ENV }));
		expect(fault!.place).toMatchObject({ line: 3, column: 4 });
		mkdirSync(join(folder, "dir.yaml"));
		const codes = async (name: string) => {
			const [fault] = await faultsOf(() => loadPipeline(folder, name, { env: ENV }));
			return `${fault!.code} ${fault!.message}`;
		};
		expect(await codes("big")).toBe("E_YAML the file is larger than 1 MB");
		expect(await codes("latin")).toBe("E_YAML the file is not UTF-8: this character is of another encoding");
		expect(await codes("utf16")).toBe("E_YAML the file is UTF-16, not UTF-8");
		expect(await codes("dir.yaml")).toMatch(/E_FILE_NOT_FOUND .* is not a file/);
	});
});
