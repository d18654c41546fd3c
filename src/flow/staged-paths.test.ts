import { expect, test } from "vitest";
import { epochOfPath, filesPrefix, manifestPath, pathSegment } from "./staged-paths.ts";

test.each([
	["shop.orders", "shop.orders"],
	["../../etc", "..%2F..%2Fetc"],
	["..", "%2E%2E"],
	[".", "%2E"],
	["a/b\\c", "a%2Fb%5Cc"],
	["é 😀\0", "%C3%A9%20%F0%9F%98%80%00"],
	["100%", "100%25"],
])("%j is the path segment %s", (name, expected) => {
	expect(pathSegment(name)).toBe(expected);
});

test("manifests sort by seq and files tell their epoch", () => {
	expect(manifestPath("p", "t", 9) < manifestPath("p", "t", 10)).toBe(true);
	expect(epochOfPath(`${filesPrefix("p", "t", 12, "abc0")}part-00000.parquet`)).toBe(12);
	expect(epochOfPath(manifestPath("p", "t", 9))).toBeNull();
});
