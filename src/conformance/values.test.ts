import { describe, expect, test } from "vitest";
import { Column } from "../core/batch.ts";
import { typeName } from "../core/column-type.ts";
import { setText } from "../formats/value-parse.ts";
import { valueText } from "../formats/value-text.ts";
import { ODD_NAMES, TYPE_SAMPLES } from "./samples.ts";
import { readText, writeText } from "./values.ts";

describe.each(TYPE_SAMPLES.map((sample) => [typeName(sample.type), sample] as const))(
	"%s",
	(_name, { type, values }) => {
		test.each(values.map((value) => [value.slice(0, 60), value]))(
			"the oracle and the product agree on %j",
			(_, value) => {
				const byOracle = new Column("v", type, 64);
				writeText(byOracle, 1, value!);
				expect(readText(byOracle, 1)).toBe(value);
				expect(valueText(byOracle, 1)).toBe(value);
				const byProduct = new Column("v", type, 64);
				expect(setText(byProduct, 1, value!)).toBe(true);
				expect(readText(byProduct, 1)).toBe(value);
			},
		);
	},
);

test("no two odd names are the same for an engine that folds their case", () => {
	expect(new Set(ODD_NAMES.map((name) => name.toLowerCase())).size).toBe(ODD_NAMES.length);
});
