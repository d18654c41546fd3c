import { describe, expect, test } from "vitest";
import { configurationReference, connectionsSchema, type JsonSchema, pipelineSchema } from "./index.ts";

interface Part {
	readonly description?: string;
	readonly properties?: Record<string, Part>;
	readonly additionalProperties?: Part | boolean;
	readonly anyOf?: readonly Part[];
	readonly items?: Part;
	readonly required?: readonly string[];
	readonly enum?: readonly string[];
}

/** Paths of keys without a description. */
function undescribed(part: Part, path = ""): string[] {
	const inner = [
		...(part.anyOf ?? []),
		...(part.items ? [part.items] : []),
		...(typeof part.additionalProperties === "object" ? [part.additionalProperties] : []),
	].flatMap((each) => undescribed(each, path));
	const own = Object.entries(part.properties ?? {}).flatMap(([key, each]) => [
		...(each.description === undefined ? [`${path}.${key}`] : []),
		...undescribed(each, `${path}.${key}`),
	]);
	return [...own, ...inner];
}

describe("JSON Schema", () => {
	test("every option is described, and the keys are those of the contract", async () => {
		const schema = (await pipelineSchema()) as JsonSchema & Part;
		expect(schema["$schema"]).toBe("https://json-schema.org/draft/2020-12/schema");
		expect(undescribed(schema)).toEqual([]);
		expect(schema.required).toEqual(["from", "to", "tables"]);
		expect(Object.keys(schema.properties!)).toEqual(
			expect.arrayContaining(
				"pipeline from to staging schedule timezone start catchup max_active_runs concurrency retries retry_delay defaults tables types schema_changes flush checks summaries hooks".split(
					" ",
				),
			),
		);
		expect(JSON.stringify(schema)).not.toContain(String(Number.MAX_SAFE_INTEGER));
	});

	test("a word may be a reference too", async () => {
		const schema = (await pipelineSchema()) as Part;
		const changes = schema.properties!["schema_changes"]!;
		expect(changes.anyOf![0]!.enum).toEqual(["evolve", "freeze", "discard", "fail"]);
		expect(JSON.stringify(changes.anyOf![1])).toContain("env|file");
	});

	test("connections", async () => {
		const schema = (await connectionsSchema()) as Part;
		expect(undescribed(schema)).toEqual([]);
		expect((schema.additionalProperties as Part).anyOf).toHaveLength(11);
	});
});

test("the reference names every key and type", async () => {
	const text = await configurationReference();
	for (const word of [
		"`retry_delay`",
		"`zero_date`",
		"### `snowflake`",
		"`storage_integration`",
		"`add_days`",
		"`params.x`",
	])
		expect(text).toContain(word);
	expect(text).not.toMatch(/undefined|\[object/);
	// Every row of a table has as many cells as its head.
	for (const block of text.split("\n\n").filter((each) => each.startsWith("|"))) {
		const cells = block.split("\n").map((row) => row.replaceAll("\\|", "").split("|").length);
		expect(new Set(cells).size).toBe(1);
	}
});
