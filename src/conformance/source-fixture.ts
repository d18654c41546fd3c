import assert from "node:assert/strict";
import type { Field } from "../core/batch.ts";
import type { ColumnType } from "../core/column-type.ts";
import type { ReadRequest, Snapshot, Source } from "../core/source.ts";
import { DEFAULT_TYPE_POLICY, type SourceTable, type TableName } from "../core/table.ts";
import type { CaseBody, Setup } from "./case.ts";
import { collect, ID, NAME, numberedRows, type TextRow } from "./rows.ts";

/** A table as a case wants it: values as canonical text, no DDL of any dialect. */
export interface FixtureTable {
	readonly name: TableName;
	readonly columns: readonly Field[];
	/** Empty: none. */
	readonly primaryKey: readonly string[];
	readonly rows: readonly TextRow[];
}

/** Another client that writes while the source reads. */
export interface SourceWriter extends AsyncDisposable {
	insert(table: TableName, rows: readonly TextRow[]): Promise<void>;
	/** Sets one column of the rows whose `column` has this value. */
	update(table: TableName, where: WhereEqual, set: WhereEqual): Promise<void>;
	delete(table: TableName, where: WhereEqual): Promise<void>;
	commit(): Promise<void>;
}

export interface WhereEqual {
	readonly column: string;
	readonly value: string;
}

/** A source under test with the means to make tables in it, by another way than the source. */
export interface SourceFixture extends AsyncDisposable {
	readonly source: Source;
	/** Where tables are made; empty of tables at first. */
	readonly schema: string;
	createTable(table: FixtureTable): Promise<void>;
	/** Adds a nullable column, at the first place when the system can. */
	addColumn(table: TableName, column: Field): Promise<void>;
	/** Begins a transaction of another client. */
	begin(): Promise<SourceWriter>;
	/** A value that the system itself can't hold in its own type, so that there is nothing to read. */
	readonly cannotHold?: (type: ColumnType, value: string) => boolean;
	/** Time that a read may take to end at the source, milliseconds; default 20 s. */
	readonly endMs?: number;
	/** The type that the source gives a column that was made with this type, where it is another. */
	readonly describedType?: (type: ColumnType) => ColumnType;
}

export type SourceSetup = Setup<SourceFixture>;
export type SourceCase = readonly [name: string, body: CaseBody<SourceFixture>];

export const POLICY = DEFAULT_TYPE_POLICY;

/** Makes a table of (id int64 primary key, name text) with `count` numbered rows. */
export async function numberedTable(fixture: SourceFixture, name: string, count: number): Promise<SourceTable> {
	return makeTable(fixture, { name, columns: [ID, NAME], primaryKey: ["id"], rows: numberedRows(count) });
}

/** Makes a table and describes it. */
export async function makeTable(
	fixture: SourceFixture,
	table: Omit<FixtureTable, "name"> & { readonly name: string },
): Promise<SourceTable> {
	const name = { schema: fixture.schema, name: table.name };
	await fixture.createTable({ ...table, name });
	return describeOne(fixture.source, name);
}

export async function describeOne(source: Source, name: TableName): Promise<SourceTable> {
	const [table] = await source.describe([{ table: name, types: POLICY }]);
	assert.ok(table !== undefined, "describe gave nothing");
	return table;
}

/** Reads all rows of a request over one snapshot. */
export async function readRows(
	snapshot: Snapshot,
	table: SourceTable,
	request: Partial<ReadRequest> = {},
): Promise<TextRow[]> {
	return collect(snapshot.read({ table, columns: table.columns, types: POLICY, ...request }));
}

/** Reads all rows of a table over a snapshot of its own. */
export async function readTable(
	source: Source,
	table: SourceTable,
	request: Partial<ReadRequest> = {},
): Promise<TextRow[]> {
	await using snapshot = await source.snapshot({ readers: 1 });
	return await readRows(snapshot, table, request);
}
