import assert from "node:assert/strict";
import type { Batch, BatchPool, Field } from "../core/batch.ts";
import { changeColumns } from "../core/change-columns.ts";
import type {
	ApplyRequest,
	ApplyResult,
	ChangesPart,
	Destination,
	DestinationChanges,
	PositionRow,
} from "../core/destination.ts";
import { encodePosition, loadId } from "../core/position.ts";
import type { TargetTable } from "../core/table.ts";
import { type DestinationCase, type DestinationFixture, PIPELINE } from "./destination-fixture.ts";
import { batchesOf, type TextRow } from "./rows.ts";

/** The stream that follows the log: its tables' rows were brought by streams of their own. */
export const STREAM = "a change log";

/** A position of a log, another for each number. */
export function logPositionAt(number: number): string {
	return encodePosition({ kind: "changes", at: `log:${number}`, tables: {} });
}

/** A part of a request, its rows still as text: in the order of `changeColumns`. */
export interface TextPart extends Omit<ChangesPart, "loadId" | "input" | "schemaVersion" | "partial"> {
	readonly rows: readonly TextRow[];
	readonly partial?: boolean;
	readonly rowsPerBatch?: number;
	/** Awaited between batches, and after the last. */
	readonly between?: (batch: number) => Promise<void>;
	readonly pool?: (fields: readonly Field[]) => BatchPool;
	/** Instead of batches of the rows. */
	readonly input?: ChangesPart["input"];
}

/** A stream of changes as a run holds it: it takes over, then applies one request after the other. */
export class Follower {
	readonly destination: Destination;
	readonly changes: DestinationChanges;
	row: PositionRow;

	private constructor(destination: Destination, changes: DestinationChanges, row: PositionRow) {
		this.destination = destination;
		this.changes = changes;
		this.row = row;
	}

	static async takeOver(destination: Destination): Promise<Follower> {
		const { changes } = destination;
		assert.ok(changes !== undefined, "it takes no changes: leave these cases out by `skip: withoutChanges(…)`");
		const row = (await destination.takeOver(PIPELINE, [STREAM])).get(STREAM);
		assert.ok(row !== undefined, "takeOver gives no row for the stream");
		return new Follower(destination, changes, row);
	}

	/** The fields of a part's rows. */
	fields(part: Pick<ChangesPart, "target" | "write" | "partial">): Field[] {
		const columns = changeColumns(part, (type) => this.destination.mapType(type).destinationType);
		return columns.map(({ name, type, nullable }) => ({ name, type, nullable }));
	}

	/** New rows of a table, by merge where the destination can. */
	adding(target: TargetTable, rows: readonly TextRow[], more: Partial<TextPart> = {}): TextPart {
		if (!this.changes.writes.includes("merge")) return { target, write: "append", rows, ...more };
		const puts = rows.map((row) => put(...row));
		return merging(target, puts, more);
	}

	request(parts: readonly TextPart[], change: Partial<ApplyRequest> = {}): ApplyRequest {
		const { stream, seq, epoch, position: from } = this.row;
		const to = logPositionAt(seq + 1);
		const id = loadId({ pipeline: PIPELINE, stream, seq, from, to, schemaVersion: "1" });
		return {
			pipeline: PIPELINE,
			stream,
			loadId: id,
			epoch,
			seq,
			fromPosition: from,
			toPosition: to,
			schemaVersion: "1",
			parts: parts.map((part, index) => this.#part(part, `${id}-${index}`)),
			bufferBytesMax: 16 << 20,
			...change,
		};
	}

	#part({ rows, partial = false, rowsPerBatch, between, pool, ...part }: TextPart, id: string): ChangesPart {
		const fields = this.fields({ ...part, partial });
		const batches = batchesOf(fields, rows, rowsPerBatch, pool?.(fields));
		return {
			loadId: id,
			schemaVersion: "1",
			partial,
			input: { kind: "batches", fields, batches: between === undefined ? batches : withBetween(batches, between) },
			...part,
		};
	}

	/** Applies and goes on from there. */
	async apply(...parts: readonly TextPart[]): Promise<ApplyResult> {
		const request = this.request(parts);
		const result = await this.changes.apply(request);
		assert.equal(result.parts.length, parts.length, "results of parts");
		this.passed(request);
		return result;
	}

	/** The request was committed. */
	passed({ toPosition, loadId: id }: ApplyRequest): void {
		this.row = { ...this.row, seq: this.row.seq + 1, position: toPosition, loadId: id };
	}

	/** Asserts that the destination's position row is the one this run is at. */
	async expectPosition(destination: Destination = this.destination): Promise<void> {
		const row = (await destination.positions(PIPELINE)).find((other) => other.stream === STREAM);
		assert.ok(row !== undefined, "there is no position row");
		const of = ({ epoch, seq, position, loadId: id }: PositionRow) => ({ epoch, seq, position, loadId: id });
		assert.deepEqual(of(row), of(this.row), "position row");
	}

	/** Asserts which loads are recorded: that of the request and those of its parts, or none. */
	async expectRecorded(request: ApplyRequest, wanted: boolean): Promise<void> {
		for (const id of [request.loadId, ...request.parts.map((part) => part.loadId)])
			assert.equal(await this.destination.committed(id), wanted, `load ${id} is ${wanted ? "not " : ""}recorded`);
	}
}

async function* withBetween(
	batches: AsyncIterable<Batch>,
	between: (batch: number) => Promise<void>,
): AsyncGenerator<Batch> {
	let count = 0;
	for await (const batch of batches) {
		await between(count++);
		yield batch;
	}
	await between(count);
}

export function merging(target: TargetTable, rows: readonly TextRow[], more: Partial<TextPart> = {}): TextPart {
	return { target, write: "merge", rows, ...more };
}

/** A row that tells all, for `merge`. */
export const put = (...values: TextRow): TextRow => [...values, "false"];
/** A delete, for `merge`: it tells the first columns. */
export const gone = (columns: number, ...key: TextRow): TextRow => [
	...key,
	...Array.from({ length: columns - key.length }, () => null),
	"true",
];
/** The same as rows of a part that is `partial`, with a key of so many columns. */
export const whole = (row: TextRow, keyColumns = 1): TextRow => [
	...row,
	...Array.from({ length: 1 + keyColumns }, () => null),
];
/** A row that does not tell the columns of the mask; the others are in the row with the key `base`. */
export const patch = (row: TextRow, mask: string, ...base: TextRow): TextRow => [...row, mask, ...base];

export type FollowerCase = (fixture: DestinationFixture, follower: Follower) => Promise<void>;

/** A case with a stream that was taken over. */
export function followed(name: string, body: FollowerCase): DestinationCase {
	return [name, async (fixture) => body(fixture, await Follower.takeOver(fixture.destination))];
}
