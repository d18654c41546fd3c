import type {
	ChangeLogFixture,
	DestinationFixture,
	SourceFixture,
	SourceWriter,
	StagingFixture,
	StateStoreFixture,
	TextRow,
} from "../../src/conformance/index.ts";
import {
	MemoryDatabase,
	MemoryFolder,
	type MemoryLogOptions,
	MemoryState,
	MemoryWarehouse,
	memoryDestination,
	memorySource,
	memoryStaging,
	memoryStateStore,
} from "../../src/connectors/memory/index.ts";
import type { Destination, Field, Source, Staging, StateStore, TableName } from "../../src/core/index.ts";

/** Changes a port on its way into a suite: the wrappers with planted bugs. */
export type Wrap<Port> = (port: Port) => Port;

const same = <Port>(port: Port): Port => port;

function byName(columns: readonly Field[], row: TextRow): Record<string, string | null> {
	const entries = columns.map(({ name }, i) => [name, row[i] ?? null] as const);
	return Object.fromEntries(entries);
}

export async function memorySourceFixture(
	wrap: (source: Source, database: MemoryDatabase) => Source = same,
	log: MemoryLogOptions = {},
): Promise<SourceFixture & Required<Pick<ChangeLogFixture, "truncate">>> {
	const database = new MemoryDatabase();
	const columns = (table: TableName) => database.table(table).columns;
	return {
		source: wrap(memorySource(database, { log }), database),
		schema: "main",
		truncate: async (table) => {
			const transaction = database.begin();
			transaction.truncate(table);
			transaction.commit();
		},
		createTable: async ({ name, columns, primaryKey, rows }) => {
			database.createTable(name, columns, primaryKey);
			database.insert(name, ...rows.map((row) => byName(columns, row)));
		},
		addColumn: async (table, column) => database.alterTable(table, [column, ...columns(table)]),
		begin: async (): Promise<SourceWriter> => {
			const transaction = database.begin();
			let open = true;
			return {
				insert: async (table, rows) => transaction.insert(table, ...rows.map((row) => byName(columns(table), row))),
				update: async (table, where, set) =>
					transaction.update(table, { [where.column]: where.value }, { [set.column]: set.value }),
				delete: async (table, { column, value }) => transaction.delete(table, { [column]: value }),
				commit: async () => {
					open = false;
					transaction.commit();
				},
				[Symbol.asyncDispose]: async () => {
					if (open) transaction.rollback();
				},
			};
		},
		[Symbol.asyncDispose]: async () => {},
	};
}

export async function memoryDestinationFixture(
	wrap: (destination: Destination, warehouse: MemoryWarehouse) => Destination = same,
): Promise<DestinationFixture> {
	const warehouse = new MemoryWarehouse();
	return {
		destination: wrap(memoryDestination(warehouse), warehouse),
		schema: "raw",
		reopen: async () => wrap(memoryDestination(warehouse), warehouse),
		rows: async (table, columns) =>
			warehouse.rows(table)?.map((row) => columns.map(({ name }) => row[name] ?? null)) ?? null,
		[Symbol.asyncDispose]: async () => {},
	};
}

export async function memoryStagingFixture(wrap: Wrap<Staging> = same): Promise<StagingFixture> {
	const folder = new MemoryFolder();
	const ports: Staging[] = [];
	const open = () => {
		const port = memoryStaging(folder);
		ports.push(port);
		return wrap(port);
	};
	return {
		staging: open(),
		reopen: async () => open(),
		[Symbol.asyncDispose]: async () => {
			for (const port of ports) await port[Symbol.asyncDispose]();
		},
	};
}

export async function memoryStateStoreFixture(wrap: Wrap<StateStore> = same): Promise<StateStoreFixture> {
	const state = new MemoryState();
	return {
		store: wrap(memoryStateStore(state)),
		reopen: async () => wrap(memoryStateStore(state)),
		[Symbol.asyncDispose]: async () => {},
	};
}
