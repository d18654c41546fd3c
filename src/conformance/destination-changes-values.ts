import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Field } from "../core/batch.ts";
import { typeName } from "../core/column-type.ts";
import { followed, gone, merging, patch, put, whole } from "./destination-changes-fixture.ts";
import { type DestinationCase, expectRows, loaded, targetOf } from "./destination-fixture.ts";
import { plainFormat } from "./plain-format.ts";
import { batchesOf, ID, NAME, type TextRow } from "./rows.ts";
import { TYPE_SAMPLES } from "./samples.ts";

const WIDE: readonly Field[] = [ID, NAME, { ...NAME, name: "more" }];
const THREE: readonly TextRow[] = [
	["1", "one", "a"],
	["2", "two", "b"],
	["3", "three", null],
];
const THIRD_ABSENT = "001";

export const destinationChangesValuesCases: readonly DestinationCase[] = [
	followed(
		"values of every type come by changes as by loads, told or taken from the base",
		async (fixture, follower) => {
			const types = TYPE_SAMPLES.filter(({ type }) => fixture.destination.mapType(type).fidelity === "exact");
			const columns: Field[] = [ID, ...types.map(({ type }, index) => ({ name: `c${index}`, type, nullable: true }))];
			const { textBytesMax = Number.POSITIVE_INFINITY } = fixture;
			const fitting = (value: string | null = null) =>
				value === null || Buffer.byteLength(value) > textBytesMax ? null : value;
			const count = Math.max(...types.map(({ values }) => values.length));
			// A value that is loaded as another one is the load's affair: those that come through it are compared.
			const rows = Array.from(
				{ length: count + 1 },
				(_, row): TextRow => [String(row), ...types.map(({ values }) => fitting(values[row]))],
			);
			const byLoad = await loaded(fixture, "by_load", rows, columns);
			const target = targetOf(fixture, "by_changes", columns);
			await follower.apply(
				merging(
					target,
					rows.map((row) => put(...row)),
				),
			);
			const wanted = await fixture.rows(byLoad.target.name, columns);
			assert.ok(wanted !== null, "there is no table");
			assert.equal(wanted.length, rows.length);
			await expectRows(fixture, { target }, wanted, `told: ${types.map(({ type }) => typeName(type)).join(", ")}`);
			const mask = `0${"1".repeat(types.length)}`;
			const moved = rows.flatMap(([id]) => [
				patch(put(`${Number(id) + 1000}`, ...types.map(() => null)), mask, id!),
				whole(gone(columns.length, id!)),
			]);
			await follower.apply(merging(target, moved, { partial: true }));
			const keys = wanted.map(([id, ...values]) => [`${Number(id) + 1000}`, ...values]);
			await expectRows(fixture, { target }, keys, "taken from the base");
		},
	),
	followed("changes come from files as from batches", async (fixture, follower) => {
		const folder = await mkdtemp(join(tmpdir(), "headrace-conformance-"));
		try {
			for (const format of fixture.formats ?? [plainFormat()]) {
				const loader = await loaded(fixture, `from_${format.name}`, THREE, WIDE);
				const fields = follower.fields({ target: loader.target, write: "merge", partial: true });
				const rows = [
					patch(put("1", "moved", null), THIRD_ABSENT, "2"),
					whole(gone(3, "2")),
					whole(put("4", "x", null)),
				];
				const localPaths: string[] = [];
				for (const part of [rows.slice(0, 1), rows.slice(1)])
					await format.write({
						fields,
						batches: batchesOf(fields, part),
						nextPath: async () => join(folder, `${format.name}-${localPaths.length}.${format.extension}`),
						written: async (path) => {
							localPaths.push(path);
						},
						bufferBytesMax: 1 << 20,
					});
				const input = { kind: "files", fields, format, localPaths } as const;
				const { parts } = await follower.apply(merging(loader.target, [], { partial: true, input }));
				assert.equal(parts[0]?.rowsReceived, 3);
				await expectRows(fixture, loader, [["1", "moved", "b"], THREE[2]!, ["4", "x", null]]);
			}
		} finally {
			await rm(folder, { recursive: true, force: true });
		}
	}),
];
