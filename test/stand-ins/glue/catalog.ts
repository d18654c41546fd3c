import { type ColumnInput, checkName, checkStorage, checkValues, GlueFault, type StorageInput } from "./rules.ts";

export interface TableRecord {
	readonly Name: string;
	readonly VersionId: string;
	readonly Parameters?: Readonly<Record<string, string>>;
	readonly PartitionKeys: readonly ColumnInput[];
	readonly StorageDescriptor: StorageInput;
}

export interface PartitionRecord {
	readonly Values: readonly string[];
	readonly StorageDescriptor: StorageInput;
}

interface Held {
	table: TableRecord;
	readonly partitions: Map<string, PartitionRecord>;
}

type Input = Readonly<Record<string, unknown>>;
type Listed = readonly Input[];

const missing = (what: string) => new GlueFault("EntityNotFoundException", `${what} not found.`);

/** Databases, tables and partitions, with what Glue says of them. Each operation names its page. */
export class Catalog {
	readonly databases = new Map<string, Map<string, Held>>();

	/** Null when there is no such operation here. */
	run(operation: string, input: Input): unknown {
		switch (operation) {
			// https://docs.aws.amazon.com/glue/latest/webapi/API_GetDatabase.html
			case "GetDatabase": {
				const name = checkName("database", input["Name"]);
				if (!this.databases.has(name)) throw missing(`Database ${name}`);
				return { Database: { Name: name } };
			}
			// https://docs.aws.amazon.com/glue/latest/webapi/API_CreateDatabase.html
			case "CreateDatabase": {
				const name = checkName("database", (input["DatabaseInput"] as Input)?.["Name"]);
				if (this.databases.has(name)) throw new GlueFault("AlreadyExistsException", "Database already exists.");
				this.databases.set(name, new Map());
				return {};
			}
			// https://docs.aws.amazon.com/glue/latest/webapi/API_GetTable.html
			case "GetTable":
				return { Table: this.#table(input, input["Name"]).table };
			case "CreateTable":
				return this.#createTable(input);
			case "UpdateTable":
				return this.#updateTable(input);
			// https://docs.aws.amazon.com/glue/latest/webapi/API_DeleteTable.html
			case "DeleteTable": {
				const { table } = this.#table(input, input["Name"]);
				this.#database(input).delete(table.Name);
				return {};
			}
			case "BatchCreatePartition":
				return this.#createPartitions(input);
			case "BatchUpdatePartition":
				return this.#updatePartitions(input);
			case "BatchDeletePartition":
				return this.#deletePartitions(input);
			default:
				return null;
		}
	}

	held(database: string, table: string): Held | undefined {
		return this.databases.get(database)?.get(table);
	}

	#database(input: Input): Map<string, Held> {
		const name = checkName("database", input["DatabaseName"]);
		const database = this.databases.get(name);
		if (database === undefined) throw missing(`Database ${name}`);
		return database;
	}

	#table(input: Input, name: unknown): Held {
		const key = checkName("table", name);
		const held = this.#database(input).get(key);
		if (held === undefined) throw missing(`Table ${key}`);
		return held;
	}

	/** https://docs.aws.amazon.com/glue/latest/webapi/API_CreateTable.html */
	#createTable(input: Input): unknown {
		const database = this.#database(input);
		const table = tableOf(input["TableInput"] as Input, "0");
		if (database.has(table.Name)) throw new GlueFault("AlreadyExistsException", "Table already exists.");
		database.set(table.Name, { table, partitions: new Map() });
		return {};
	}

	/** https://docs.aws.amazon.com/glue/latest/webapi/API_UpdateTable.html: of a version that is not the last it is refused */
	#updateTable(input: Input): unknown {
		const name = (input["TableInput"] as Input)?.["Name"];
		const held = this.#table(input, name);
		const { VersionId, PartitionKeys } = held.table;
		if (input["VersionId"] !== undefined && input["VersionId"] !== VersionId)
			throw new GlueFault("ConcurrentModificationException", "Update table failed due to concurrent modifications.");
		const table = tableOf(input["TableInput"] as Input, String(Number(VersionId) + 1));
		if (held.partitions.size > 0 && JSON.stringify(table.PartitionKeys) !== JSON.stringify(PartitionKeys))
			throw new GlueFault("InvalidInputException", "Partition keys of a table with partitions can't be changed");
		held.table = table;
		return {};
	}

	/** At most 100 a call: https://docs.aws.amazon.com/glue/latest/webapi/API_BatchCreatePartition.html */
	#createPartitions(input: Input): unknown {
		const held = this.#table(input, input["TableName"]);
		const list = listOf(input["PartitionInputList"], 100);
		return errorsOf(
			list,
			(each) => each["Values"],
			(each) => {
				const partition = partitionOf(each, held.table);
				const key = JSON.stringify(partition.Values);
				if (held.partitions.has(key)) throw new GlueFault("AlreadyExistsException", "Partition already exists.");
				held.partitions.set(key, partition);
			},
		);
	}

	/** At most 100 a call: https://docs.aws.amazon.com/glue/latest/webapi/API_BatchUpdatePartition.html */
	#updatePartitions(input: Input): unknown {
		const held = this.#table(input, input["TableName"]);
		const list = listOf(input["Entries"], 100);
		return errorsOf(
			list,
			(each) => each["PartitionValueList"],
			(each) => {
				const key = JSON.stringify(each["PartitionValueList"]);
				if (!held.partitions.has(key)) throw missing("Partition");
				held.partitions.set(key, partitionOf(each["PartitionInput"] as Input, held.table));
			},
		);
	}

	/** At most 25 a call: https://docs.aws.amazon.com/glue/latest/webapi/API_BatchDeletePartition.html */
	#deletePartitions(input: Input): unknown {
		const held = this.#table(input, input["TableName"]);
		const list = listOf(input["PartitionsToDelete"], 25);
		return errorsOf(
			list,
			(each) => each["Values"],
			(each) => {
				if (!held.partitions.delete(JSON.stringify(each["Values"]))) throw missing("Partition");
			},
		);
	}
}

function tableOf(input: Input, VersionId: string): TableRecord {
	const table = input as unknown as Omit<TableRecord, "VersionId">;
	checkStorage(table.StorageDescriptor, table.PartitionKeys);
	return { ...table, Name: checkName("table", table.Name), PartitionKeys: table.PartitionKeys ?? [], VersionId };
}

function partitionOf(input: Input, table: TableRecord): PartitionRecord {
	const { Values, StorageDescriptor } = input as unknown as PartitionRecord;
	checkStorage(StorageDescriptor);
	return { Values: checkValues(Values, table.PartitionKeys), StorageDescriptor };
}

function listOf(list: unknown, most: number): Listed {
	if (!Array.isArray(list) || list.length === 0 || list.length > most)
		throw new GlueFault("ValidationException", `the list must have 1 to ${most} members`);
	return list as Listed;
}

/** A batch does what it can and lists what it could not. */
function errorsOf(list: Listed, values: (each: Input) => unknown, work: (each: Input) => void): unknown {
	const Errors: unknown[] = [];
	for (const each of list)
		try {
			work(each);
		} catch (error) {
			if (!(error instanceof GlueFault) || error.name === "InvalidInputException") throw error;
			Errors.push({
				PartitionValues: values(each),
				ErrorDetail: { ErrorCode: error.name, ErrorMessage: error.message },
			});
		}
	return { Errors };
}
