import assert from "node:assert/strict";
import type { DestinationParts, LoadRequest, PartsRequest } from "../core/destination.ts";
import { HeadraceError } from "../core/errors.ts";
import { rejectsWith } from "./case.ts";
import {
	COLUMNS,
	type DestinationCase,
	type DestinationFixture,
	expectRows,
	Loader,
	loaded,
	PIPELINE,
} from "./destination-fixture.ts";
import { batchesOf, numberedRows, type TextRow } from "./rows.ts";

const OLD = numberedRows(5);
const FIRST = numberedRows(30, 100);
const SECOND = numberedRows(20, 200);
const THIRD = numberedRows(10, 300);

/** A load in parts as a run holds it. */
class Builder {
	readonly loader: Loader;
	readonly parts: DestinationParts;

	constructor(loader: Loader, parts: DestinationParts) {
		this.loader = loader;
		this.parts = parts;
	}

	get request(): PartsRequest {
		const { row, target } = this.loader;
		const { stream, epoch, seq, position: fromPosition } = row;
		return { pipeline: PIPELINE, stream, epoch, seq, fromPosition, target, bufferBytesMax: 16 << 20 };
	}

	add(index: number, rows: readonly TextRow[], request: PartsRequest = this.request): Promise<number> {
		const record = (count: number) => `part ${index}: ${count}`;
		return this.parts.add(request, { index, fields: COLUMNS, batches: batchesOf(COLUMNS, rows, 7), record });
	}

	get loadRequest(): Omit<LoadRequest, "input"> {
		const { input: _input, ...request } = this.loader.request([]);
		return request;
	}

	async load(rows: number): Promise<void> {
		const request = this.loadRequest;
		const result = await this.parts.load(request, rows);
		assert.equal(result.rowsReceived, rows);
		const { row } = this.loader;
		this.loader.row = { ...row, seq: row.seq + 1, position: request.toPosition, loadId: request.loadId };
	}

	async records(): Promise<Record<number, string> | null> {
		const found = await this.parts.find(PIPELINE, this.loader.row.stream);
		return found === null ? null : Object.fromEntries(found.records);
	}

	/** The stream as the next run takes it over. */
	async next(destination = this.loader.destination): Promise<Builder> {
		return new Builder(await Loader.takeOver(destination, this.loader.target), destination.parts as DestinationParts);
	}
}

/** Cases for a destination that takes parts; another is not asked. */
function partsCase(
	name: string,
	body: (fixture: DestinationFixture, begin: (table: string) => Promise<Builder>) => Promise<void>,
): DestinationCase {
	return [
		name,
		async (fixture) => {
			const { parts } = fixture.destination;
			if (parts === undefined) return;
			await body(fixture, async (table) => {
				const builder = new Builder(await loaded(fixture, table, OLD), parts);
				await parts.begin(builder.request, "the plan");
				return builder;
			});
		},
	];
}

export const destinationPartsCases: readonly DestinationCase[] = [
	partsCase("parts are seen by nobody until they take the table's place, with one position", async (fixture, begin) => {
		const builder = await begin("in_parts");
		assert.equal(await builder.add(0, FIRST), 30);
		assert.equal(await builder.add(1, SECOND), 20);
		await expectRows(fixture, builder.loader, OLD, "rows before the load");
		await builder.load(50);
		await expectRows(fixture, builder.loader, [...FIRST, ...SECOND]);
		await builder.loader.expectPosition();
		assert.equal(await builder.records(), null, "an ended load is still told");
		await builder.loader.load(THIRD);
		await expectRows(fixture, builder.loader, THIRD, "rows after the next load");
	}),
	partsCase("another run finds what is there and goes on with it", async (fixture, begin) => {
		const first = await begin("gone_on");
		await first.add(2, SECOND);
		await first.add(0, FIRST);
		await using destination = await fixture.reopen();
		const second = await first.next(destination);
		const found = await second.parts.find(PIPELINE, second.loader.row.stream);
		assert.equal(found?.plan, "the plan");
		assert.equal(found?.seq, second.loader.row.seq);
		assert.deepEqual(await second.records(), { 0: "part 0: 30", 2: "part 2: 20" });
		await second.add(1, THIRD);
		await second.load(60);
		await expectRows(fixture, second.loader, [...FIRST, ...SECOND, ...THIRD]);
	}),
	partsCase("a part whose rows fail midway is not there, nor is any row of it", async (fixture, begin) => {
		const builder = await begin("broken_part");
		await builder.add(0, FIRST);
		async function* broken() {
			yield* batchesOf(COLUMNS, SECOND, 7);
			throw new Error("the source broke");
		}
		const part = { index: 1, fields: COLUMNS, batches: broken(), record: () => "never" };
		await assert.rejects(builder.parts.add(builder.request, part));
		assert.deepEqual(await builder.records(), { 0: "part 0: 30" });
		await builder.add(1, THIRD);
		await builder.load(40);
		await expectRows(fixture, builder.loader, [...FIRST, ...THIRD]);
	}),
	partsCase("parts at once do not mix", async (fixture, begin) => {
		const builder = await begin("side_by_side");
		const rows = [FIRST, SECOND, THIRD];
		await Promise.all(rows.slice(0, builder.parts.parallel).map((part, index) => builder.add(index, part)));
		for (let index = builder.parts.parallel; index < rows.length; index++) await builder.add(index, rows[index]!);
		await builder.parts.remove(builder.request, [1]);
		assert.deepEqual(await builder.records(), { 0: "part 0: 30", 2: "part 2: 10" });
		await builder.load(40);
		await expectRows(fixture, builder.loader, [...FIRST, ...THIRD]);
	}),
	partsCase("parts that are taken away and added again leave the others as they were", async (fixture, begin) => {
		const builder = await begin("again");
		await builder.add(0, FIRST);
		await builder.add(1, SECOND);
		await builder.add(2, []);
		await builder.add(3, THIRD);
		await builder.parts.remove(builder.request, [0, 2]);
		await builder.add(
			0,
			SECOND.map(([id, name]) => [`9${id}`, name ?? null]),
		);
		const second = await builder.next();
		await second.parts.remove(second.request, [1]);
		assert.deepEqual(Object.keys((await second.records()) ?? {}), ["0", "3"]);
		await second.add(1, FIRST);
		await second.load(60);
		await expectRows(fixture, second.loader, [
			...FIRST,
			...THIRD,
			...SECOND.map(([id, name]) => [`9${id}`, name ?? null]),
		]);
	}),
	partsCase("a part without rows is a part", async (fixture, begin) => {
		const builder = await begin("empty_part");
		assert.equal(await builder.add(0, []), 0);
		await builder.add(1, FIRST);
		assert.deepEqual(await builder.records(), { 0: "part 0: 0", 1: "part 1: 30" });
		await builder.load(30);
		await expectRows(fixture, builder.loader, FIRST);
	}),
	partsCase("an older run can neither begin, add, remove, discard nor load", async (fixture, begin) => {
		const older = await begin("fenced_parts");
		await older.add(0, FIRST);
		const newer = await older.next();
		await rejectsWith("E_FENCED", older.add(1, SECOND));
		await rejectsWith("E_FENCED", older.parts.remove(older.request, [0]));
		await rejectsWith("E_FENCED", older.parts.begin(older.request, "another plan"));
		await rejectsWith("E_FENCED", older.parts.discard(older.request));
		await rejectsWith("E_FENCED", older.parts.load(older.loadRequest, 30));
		assert.deepEqual(await newer.records(), { 0: "part 0: 30" });
		await expectRows(fixture, older.loader, OLD);
		await newer.load(30);
		await expectRows(fixture, newer.loader, FIRST);
	}),
	partsCase("parts that do not hold the rows that were read are never loaded", async (fixture, begin) => {
		const builder = await begin("miscounted");
		await builder.add(0, FIRST);
		await rejectsWith("E_STATE", builder.parts.load(builder.loadRequest, 31));
		await expectRows(fixture, builder.loader, OLD);
		await builder.loader.expectPosition();
		await builder.parts.begin(builder.request, "again");
		assert.deepEqual(await builder.records(), {});
	}),
	partsCase("any load of the stream that commits ends what was unfinished", async (fixture, begin) => {
		const builder = await begin("overtaken");
		await builder.add(0, FIRST);
		await builder.loader.load(THIRD, { write: "append" });
		const found = await builder.parts.find(PIPELINE, builder.loader.row.stream);
		assert.notEqual(found?.seq, builder.loader.row.seq);
		await builder.parts.begin(builder.request, "after it");
		assert.deepEqual(await builder.records(), {});
		await builder.add(0, SECOND);
		await builder.load(20);
		await expectRows(fixture, builder.loader, SECOND);
	}),
	partsCase("what nobody went on with is swept by its age, and by its pipeline", async (_fixture, begin) => {
		const builder = await begin("swept");
		await builder.add(0, FIRST);
		await builder.parts.sweep(PIPELINE, new Date(Date.now() - 3_600_000));
		await builder.parts.sweep("another", new Date(Date.now() + 3_600_000));
		assert.deepEqual(await builder.records(), { 0: "part 0: 30" });
		await builder.parts.sweep(PIPELINE, new Date(Date.now() + 3_600_000));
		assert.equal(await builder.records(), null);
	}),
	partsCase("rows with a key that is not unique stop the load and stay for another look", async (fixture, begin) => {
		const builder = await begin("twins");
		await builder.add(0, FIRST);
		await builder.add(1, FIRST.slice(0, 3));
		await rejectsWith("E_DUPLICATE_KEY", builder.parts.load(builder.loadRequest, 33));
		await expectRows(fixture, builder.loader, OLD);
		await builder.parts.remove(builder.request, [1]);
		await builder.load(30);
		await expectRows(fixture, builder.loader, FIRST);
	}),
	partsCase(
		"rows of parts are verified before anyone sees them; what is refused stays for another look",
		async (fixture, begin) => {
			const builder = await begin("looked_at");
			await builder.add(0, FIRST);
			await builder.add(1, SECOND);
			const refuse = async () => {
				await expectRows(fixture, builder.loader, OLD, "while the new rows are verified");
				throw new HeadraceError("E_CHECK", "refused");
			};
			await rejectsWith("E_CHECK", builder.parts.load({ ...builder.loadRequest, verify: refuse }, 50));
			await expectRows(fixture, builder.loader, OLD, "after the refusal");
			await builder.load(50);
			await expectRows(fixture, builder.loader, [...FIRST, ...SECOND]);
		},
	),
];
