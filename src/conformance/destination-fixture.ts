import assert from "node:assert/strict";
import type { Field } from "../core/batch.ts";
import type { Destination, LoadRequest, LoadResult, PositionRow } from "../core/destination.ts";
import { encodePosition, type FullPosition, loadId } from "../core/position.ts";
import type { FileFormat } from "../core/staging.ts";
import type { TableName, TargetTable } from "../core/table.ts";
import type { CaseBody, Setup } from "./case.ts";
import { batchesOf, ID, NAME, sameRows, type TextRow } from "./rows.ts";

/** A destination under test with the means to look at it by another way than the destination. */
export interface DestinationFixture extends AsyncDisposable {
	readonly destination: Destination;
	/** Where tables are made; it need not exist before the first load. */
	readonly schema: string;
	/** Another port on the same place, as a run after a crash opens it; the caller closes it. */
	readonly reopen: () => Promise<Destination>;
	/**
	 * The committed rows of a table as canonical text, those columns in that order, as another reader sees them; null
	 * when there is no table. It is called while a load goes on.
	 */
	rows(table: TableName, columns: readonly Field[]): Promise<TextRow[] | null>;
	/** Most bytes of a text that it can keep; a sample that is longer is left out. Default: any. */
	readonly textBytesMax?: number;
	/** Formats to load files with; by default a plain one that is read into batches. */
	readonly formats?: readonly FileFormat[];
}

export type DestinationSetup = Setup<DestinationFixture>;
export type DestinationCase = readonly [name: string, body: CaseBody<DestinationFixture>];

export const PIPELINE = "conformance";
export const COLUMNS: readonly Field[] = [ID, NAME];

/** A target of these columns; the key is `id` when there is such a column. */
export function targetOf(
	fixture: DestinationFixture,
	name: string,
	columns: readonly Field[] = COLUMNS,
	key: readonly string[] = columns.some((column) => column.name === "id") ? ["id"] : [],
): TargetTable {
	return {
		name: { schema: fixture.schema, name },
		columns: columns.map((column) => ({
			...column,
			destinationType: fixture.destination.mapType(column.type).destinationType,
		})),
		key,
	};
}

/** Some position, another for each number. */
export function positionAt(number: number): string {
	const position: FullPosition = { kind: "full", at: `2024-01-01 00:00:00.${String(number).padStart(6, "0")}` };
	return encodePosition(position);
}

/** A stream as a run holds it: it takes over, then loads one request after the other. */
export class Loader {
	readonly destination: Destination;
	readonly target: TargetTable;
	row: PositionRow;

	private constructor(destination: Destination, target: TargetTable, row: PositionRow) {
		this.destination = destination;
		this.target = target;
		this.row = row;
	}

	static async takeOver(destination: Destination, target: TargetTable): Promise<Loader> {
		const stream = target.name.name;
		const row = (await destination.takeOver(PIPELINE, [stream])).get(stream);
		assert.ok(row !== undefined, "takeOver gives no row for the stream");
		return new Loader(destination, target, row);
	}

	/** The request of the next load; `rows` come in batches of at most `rowsPerBatch`. */
	request(rows: readonly TextRow[], change: Partial<LoadRequest> = {}, rowsPerBatch?: number): LoadRequest {
		const target = change.target ?? this.target;
		const to = positionAt(this.row.seq + 1);
		const fields = target.columns.map(({ name, type, nullable }) => ({ name, type, nullable }));
		return {
			pipeline: PIPELINE,
			stream: this.row.stream,
			loadId: loadId({
				pipeline: PIPELINE,
				stream: this.row.stream,
				seq: this.row.seq,
				from: this.row.position,
				to,
				schemaVersion: "1",
			}),
			epoch: this.row.epoch,
			seq: this.row.seq,
			fromPosition: this.row.position,
			toPosition: to,
			schemaVersion: "1",
			target,
			write: "replace",
			input: { kind: "batches", fields, batches: batchesOf(fields, rows, rowsPerBatch) },
			bufferBytesMax: 16 << 20,
			...change,
		};
	}

	/** Loads and goes on from there. */
	async load(rows: readonly TextRow[], change: Partial<LoadRequest> = {}, rowsPerBatch?: number): Promise<LoadResult> {
		const request = this.request(rows, change, rowsPerBatch);
		const result = await this.destination.load(request);
		this.row = { ...this.row, seq: this.row.seq + 1, position: request.toPosition, loadId: request.loadId };
		return result;
	}

	/** Asserts that the destination's position row is the one this run is at. */
	async expectPosition(destination: Destination = this.destination): Promise<void> {
		const row = (await destination.positions(PIPELINE)).find((other) => other.stream === this.row.stream);
		assert.ok(row !== undefined, "there is no position row");
		const { epoch, seq, position, loadId } = row;
		assert.deepEqual(
			{ epoch, seq, position, loadId },
			{ epoch: this.row.epoch, seq: this.row.seq, position: this.row.position, loadId: this.row.loadId },
			"position row",
		);
	}
}

/** Takes a new stream over and loads its first rows. */
export async function loaded(
	fixture: DestinationFixture,
	name: string,
	rows: readonly TextRow[],
	columns?: readonly Field[],
): Promise<Loader> {
	const loader = await Loader.takeOver(fixture.destination, targetOf(fixture, name, columns));
	await loader.load(rows);
	return loader;
}

/** Asserts what another reader sees in the loader's table. */
export async function expectRows(
	fixture: DestinationFixture,
	{ target }: { readonly target: TargetTable },
	rows: readonly TextRow[],
	what?: string,
): Promise<void> {
	sameRows(await fixture.rows(target.name, target.columns), rows, what);
}
