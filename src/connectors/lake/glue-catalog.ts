import { randomBytes } from "node:crypto";
import type { PartitionInput, Table } from "@aws-sdk/client-glue";
import { crashPoint, type Field, type Finding, HeadraceError, type Staging, type TableName } from "../../core/index.ts";
import { GlueAccess, type GlueOptions, glueErrorName } from "./glue-client.ts";
import { checkGlueForm, glueTableName, OWNER_PARAMETER, storageOf, tableInput } from "./glue-form.ts";
import { CONTROL_FOLDER } from "./layout.ts";
import { type PartitionColumn, parsePartition, partitionPath, partitionValues } from "./partition.ts";
import { replaceFile } from "./store-text.ts";
import type { LakeTable } from "./table.ts";
import { fieldsOf, type TableState } from "./table-state.ts";

/** https://docs.aws.amazon.com/glue/latest/webapi/API_BatchCreatePartition.html and those of Update and Delete */
const CREATE_MAX = 100;
const UPDATE_MAX = 100;
const DELETE_MAX = 25;
/** A process that began to tell Glue something so long ago is dead. */
const PENDING_AGE_MS = 3600 * 1000;
const TRIES_MAX = 10;

/** Says from which commit on Glue may not know a table. */
interface Pending {
	readonly path: string;
	readonly since: number;
	readonly isOld: boolean;
}

/**
 * Tables of the lake in a Glue catalogue. What a commit changes is written down before it as still to be told, and
 * crossed out afterwards; so after a crash, or when Glue is not there, the next run tells it.
 */
export class GlueCatalog {
	readonly #access: GlueAccess;
	readonly #store: Staging;

	constructor(store: Staging, options: GlueOptions) {
		this.#access = new GlueAccess(options);
		this.#store = store;
	}

	/** @throws E_UNSUPPORTED, E_NAME_COLLISION, E_TYPE_REFUSED for what Athena could not read */
	checkForm(table: TableName, fields: readonly Field[], levels: readonly PartitionColumn[]): void {
		checkGlueForm(table, fields, levels);
	}

	/** Notes, before a commit, that Glue has to be told of what follows this state. Gives the note's path. */
	async announce(table: LakeTable, state: TableState | null): Promise<string> {
		const path = `${pendingFolder(table)}${randomBytes(8).toString("hex")}.json`;
		const note = { format_version: 1, since: state?.last.change ?? 0 };
		await this.#store.writeOnce(path, new TextEncoder().encode(`${JSON.stringify(note)}\n`));
		return path;
	}

	/** Takes a note back whose commit did not come to be. */
	async forget(note: string): Promise<void> {
		await this.#store.remove([note]);
	}

	/** Whether Glue is still to be told something of a table. */
	async isPending(table: LakeTable): Promise<boolean> {
		return (await this.#store.list(pendingFolder(table))).length > 0;
	}

	/** Tells Glue and Athena all that is noted; `note` is the caller's own. */
	async publish(table: LakeTable, state: TableState, note?: string): Promise<void> {
		for (let newest = state; ; ) {
			const pending = await this.#pending(table);
			await this.#tell(table, newest, Math.min(...pending.map(({ since }) => since), newest.last.change));
			const head = await table.head();
			if (head !== null && head.last.change > newest.last.change) {
				newest = head;
				continue;
			}
			// Another process's note stays while it may live: it may just now be writing what is older than this.
			const done = pending.filter(({ path, isOld }) => isOld || path === note).map(({ path }) => path);
			if (done.length > 0) await this.#store.remove(done);
			return;
		}
	}

	async #pending(table: LakeTable): Promise<Pending[]> {
		const notes: Pending[] = [];
		for (const { path, modifiedAt } of await this.#store.list(pendingFolder(table))) {
			const content = await this.#store.read(path);
			if (content === null) continue;
			const { since } = JSON.parse(new TextDecoder().decode(content)) as { since: number };
			notes.push({ path, since, isOld: Date.now() - modifiedAt.getTime() > PENDING_AGE_MS });
		}
		return notes;
	}

	async #tell(table: LakeTable, state: TableState, since: number): Promise<void> {
		const form = state.form;
		if (form === null) return;
		const fields = fieldsOf(form.columns);
		const levels = form.partition_by.map(parsePartition);
		const name = glueTableName(table.name);
		// Columns first: files that lack one are read with NULL, and a column without files harms nobody.
		const isRetold = await this.#table(name, table, fields, levels);
		const changed = Object.entries(state.partitions).filter(([, entry]) => isRetold === "anew" || entry > since);
		const live = Map.groupBy(
			state.files.filter((file) => levels.length === 0 || file.rows > 0),
			(file) => partitionPath(levels, file.partition),
		);
		const created: PartitionInput[] = [];
		const gone: string[][] = [];
		for (const [path] of changed) {
			const files = live.get(path) ?? [];
			if (files.length === 0) {
				if (levels.length > 0) gone.push(valuesOf(path));
				continue;
			}
			const list = files.map((file) => this.#uri(file.path)).join("\n");
			await replaceFile(this.#store, `${table.folder}/athena/${path}manifest`, `${list}\n`);
			crashPoint("lake-manifest");
			if (levels.length > 0) created.push(this.#partition(table, path, files[0]!.partition, fields, levels));
		}
		for (let at = 0; at < created.length; at += CREATE_MAX)
			await this.#createPartitions(name, created.slice(at, at + CREATE_MAX));
		crashPoint("lake-glue");
		for (let at = 0; at < gone.length; at += DELETE_MAX)
			await this.#deletePartitions(name, gone.slice(at, at + DELETE_MAX));
		if (isRetold === "columns" && levels.length > 0) {
			const all = [...live].map(([path, files]) => this.#partition(table, path, files[0]!.partition, fields, levels));
			for (let at = 0; at < all.length; at += UPDATE_MAX)
				await this.#updatePartitions(name, all.slice(at, at + UPDATE_MAX));
		}
	}

	#partition(
		table: LakeTable,
		path: string,
		values: readonly (string | null)[],
		fields: readonly Field[],
		levels: readonly PartitionColumn[],
	): PartitionInput {
		const location = this.#uri(`${table.folder}/athena/${path}`);
		return { Values: partitionValues(values), StorageDescriptor: storageOf(location, fields, levels) };
	}

	/** Makes or changes the table. `anew`: Glue knows none of its partitions. `columns`: theirs are to be changed too. */
	async #table(
		name: string,
		table: LakeTable,
		fields: readonly Field[],
		levels: readonly PartitionColumn[],
	): Promise<"same" | "columns" | "anew"> {
		const { database } = this.#access;
		const input = tableInput(name, table.folder, this.#uri(`${table.folder}/athena/`), fields, levels);
		for (let attempt = 1; ; attempt++) {
			try {
				const found = await this.#get(name);
				if (found === null) {
					await this.#createTable(input);
					return "anew";
				}
				checkOwner(found, table, database);
				if (formText(found) === formText(input)) return "same";
				if (keysText(found) !== keysText(input)) {
					// Partition keys can't be changed: the table is made again, and its partitions with it.
					await this.#access.request("glue:DeleteTable", (client, { DeleteTableCommand }) =>
						client.send(new DeleteTableCommand({ DatabaseName: database, Name: name })),
					);
					continue;
				}
				const VersionId = found.VersionId;
				await this.#access.request("glue:UpdateTable", (client, { UpdateTableCommand }) =>
					client.send(
						new UpdateTableCommand({
							DatabaseName: database,
							TableInput: input,
							SkipArchive: true,
							...(VersionId === undefined ? {} : { VersionId }),
						}),
					),
				);
				return "columns";
			} catch (error) {
				// Another process changed it at the same moment, or an answer was lost: look again.
				const isRace = /^(AlreadyExists|ConcurrentModification|VersionMismatch|EntityNotFound)/.test(
					glueErrorName(error),
				);
				if (isRace && attempt < TRIES_MAX) continue;
				if (!isRace || error instanceof HeadraceError) throw error;
				throw new HeadraceError("E_CONFLICT", `the Glue table ${database}.${name} is changed by others all the time`, {
					cause: error,
				});
			}
		}
	}

	async #get(name: string): Promise<Table | null> {
		try {
			const { Table: found } = await this.#access.request("glue:GetTable", (client, { GetTableCommand }) =>
				client.send(new GetTableCommand({ DatabaseName: this.#access.database, Name: name })),
			);
			return found ?? null;
		} catch (error) {
			if (glueErrorName(error) === "EntityNotFoundException") return null;
			throw error;
		}
	}

	async #createTable(input: ReturnType<typeof tableInput>): Promise<void> {
		const { database } = this.#access;
		const create = () =>
			this.#access.request("glue:CreateTable", (client, { CreateTableCommand }) =>
				client.send(new CreateTableCommand({ DatabaseName: database, TableInput: input })),
			);
		try {
			await create();
		} catch (error) {
			if (glueErrorName(error) !== "EntityNotFoundException") throw error;
			await this.#access
				.request("glue:CreateDatabase", (client, { CreateDatabaseCommand }) =>
					client.send(new CreateDatabaseCommand({ DatabaseInput: { Name: database } })),
				)
				.catch((failure: unknown) => {
					if (glueErrorName(failure) !== "AlreadyExistsException") throw failure;
				});
			await create();
		}
	}

	/** Those that are there already are as they should be: their location never changes. */
	async #createPartitions(name: string, partitions: PartitionInput[]): Promise<void> {
		const { Errors = [] } = await this.#access.request(
			"glue:BatchCreatePartition",
			(client, { BatchCreatePartitionCommand }) =>
				client.send(
					new BatchCreatePartitionCommand({
						DatabaseName: this.#access.database,
						TableName: name,
						PartitionInputList: partitions,
					}),
				),
		);
		throwFirst(Errors, "AlreadyExistsException", name);
	}

	async #updatePartitions(name: string, partitions: PartitionInput[]): Promise<void> {
		const { Errors = [] } = await this.#access.request(
			"glue:BatchUpdatePartition",
			(client, { BatchUpdatePartitionCommand }) =>
				client.send(
					new BatchUpdatePartitionCommand({
						DatabaseName: this.#access.database,
						TableName: name,
						Entries: partitions.map((input) => ({ PartitionValueList: input.Values!, PartitionInput: input })),
					}),
				),
		);
		throwFirst(Errors, "EntityNotFoundException", name);
	}

	async #deletePartitions(name: string, values: string[][]): Promise<void> {
		const { Errors = [] } = await this.#access.request(
			"glue:BatchDeletePartition",
			(client, { BatchDeletePartitionCommand }) =>
				client.send(
					new BatchDeletePartitionCommand({
						DatabaseName: this.#access.database,
						TableName: name,
						PartitionsToDelete: values.map((Values) => ({ Values })),
					}),
				),
		);
		throwFirst(Errors, "EntityNotFoundException", name);
	}

	#uri(path: string): string {
		const { address } = this.#store;
		if (address === undefined)
			throw new HeadraceError("E_UNSUPPORTED", `Athena can't read ${this.#store.location}: glue needs a bucket`);
		// A folder is not a path of the store, which ends in a file.
		return path.endsWith("/") ? address.uriOf(`${path}_`).slice(0, -1) : address.uriOf(path);
	}

	/** Looks whether the catalogue can be read; says what it is still to be told. */
	async check(): Promise<Finding[]> {
		const { database } = this.#access;
		const findings: Finding[] = [];
		try {
			await this.#access.request("glue:GetDatabase", (client, { GetDatabaseCommand }) =>
				client.send(new GetDatabaseCommand({ Name: database })),
			);
			findings.push({ severity: "ok", message: `Glue database ${database} is there` });
		} catch (error) {
			if (glueErrorName(error) === "EntityNotFoundException")
				findings.push({ severity: "ok", message: `Glue database ${database} will be made` });
			else if (error instanceof HeadraceError && error.exit === 4 && error.code !== "E_RIGHTS") throw error;
			else if (error instanceof HeadraceError)
				findings.push({ severity: "error", message: error.message, remedy: error.hint });
			else throw error;
		}
		const notes = await this.#store.list(`${CONTROL_FOLDER}/pending/`);
		const tables = new Set(notes.map(({ path }) => path.split("/")[2]));
		if (tables.size > 0)
			findings.push({
				severity: "warning",
				message: `Glue may not know all of ${[...tables].join(", ")} yet`,
				remedy: "The next run tells it.",
			});
		return findings;
	}

	close(): Promise<void> {
		return this.#access.close();
	}
}

const pendingFolder = (table: LakeTable) => `${CONTROL_FOLDER}/pending/${table.folder}/`;

/** The values that a folder's path stands for, as Glue has them. */
function valuesOf(path: string): string[] {
	return path
		.slice(0, -1)
		.split("/")
		.map((segment) => decodeURIComponent(segment.slice(segment.indexOf("=") + 1)));
}

function checkOwner(found: Table, table: LakeTable, database: string): void {
	const owner = found.Parameters?.[OWNER_PARAMETER];
	if (owner === table.folder) return;
	const whose = owner === undefined ? "was not made by Headrace" : `is of ${owner}`;
	throw new HeadraceError(
		owner === undefined ? "E_UNSUPPORTED" : "E_NAME_COLLISION",
		`the Glue table ${database}.${found.Name} ${whose}`,
		{
			hint: "Write `into:` another name, or another database for glue; or drop the table in Glue.",
		},
	);
}

type GlueForm = Pick<Table, "StorageDescriptor" | "PartitionKeys">;

const columnsText = (columns: GlueForm["PartitionKeys"]) =>
	JSON.stringify((columns ?? []).map(({ Name, Type }) => [Name, Type]));
const keysText = ({ PartitionKeys }: GlueForm) => columnsText(PartitionKeys);

function formText(table: GlueForm): string {
	const { Columns, Location, InputFormat } = table.StorageDescriptor ?? {};
	return JSON.stringify([columnsText(Columns), keysText(table), Location, InputFormat]);
}

function throwFirst(
	errors: readonly {
		readonly ErrorDetail?:
			| { readonly ErrorCode?: string | undefined; readonly ErrorMessage?: string | undefined }
			| undefined;
	}[],
	expected: string,
	name: string,
): void {
	const detail = errors.map(({ ErrorDetail }) => ErrorDetail).find((each) => each?.ErrorCode !== expected);
	if (detail !== undefined)
		throw new HeadraceError(
			"E_DESTINATION",
			`Glue refused partitions of ${name}: ${detail.ErrorCode} ${detail.ErrorMessage ?? ""}`,
		);
}
