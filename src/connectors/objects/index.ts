import {
	type Batch,
	type DescribeRequest,
	type Field,
	type Finding,
	HeadraceError,
	parseColumnType,
	qualified,
	type ReadRequest,
	type Snapshot,
	type Source,
	type SourceTable,
	type TableName,
	timestampText,
	typeName,
	type Window,
} from "../../core/index.ts";
import { buildBatches, type RowObject } from "../../formats/index.ts";

/** A table whose rows your own code makes. */
export interface ObjectTable {
	/**
	 * Gives the rows. For an interval run `window` is the part that is wanted: rows whose cursor is from `from`
	 * (included) to `to` (excluded).
	 */
	readonly rows: (window: Window | undefined) => AsyncIterable<RowObject> | Iterable<RowObject>;
	/** Types by column name (`{ id: "int64", total: "decimal(12,2)" }`); without them they are inferred from the first 1,000 rows. */
	readonly types?: Readonly<Record<string, string>>;
	/** Columns of the primary key. */
	readonly key?: readonly string[];
}

/**
 * A source of your own from (async) generators of objects: modes full and interval.
 *
 * @example
 * const source = objectSource({ tickets: { key: ["id"], async *rows() { yield { id: 1n, title: "hello" }; } } });
 */
export function objectSource(tables: Readonly<Record<string, ObjectTable>>): Source {
	return new ObjectSource(new Map(Object.entries(tables)));
}

type Built = Awaited<ReturnType<typeof buildBatches>>;

class ObjectSource implements Source {
	readonly defaultSchema = "main";
	readonly queries = false;
	readonly backslashEscapes = false;
	readonly #tables: ReadonlyMap<string, ObjectTable>;
	/** Rows that `describe` began to read for their types; the first read goes on with them. */
	readonly #begun = new Map<string, Built>();
	readonly #fields = new Map<string, readonly Field[]>();

	constructor(tables: ReadonlyMap<string, ObjectTable>) {
		this.#tables = tables;
	}

	quoteString(text: string): string {
		return `'${text.replaceAll("'", "''")}'`;
	}

	async check(): Promise<Finding[]> {
		return [{ severity: "ok", message: `${this.#tables.size} tables of your own code` }];
	}

	async listTables(): Promise<TableName[]> {
		return Array.from(this.#tables.keys(), (name) => ({ schema: this.defaultSchema, name }));
	}

	async describe(requests: readonly DescribeRequest[]): Promise<SourceTable[]> {
		const described: SourceTable[] = [];
		for (const { table } of requests) {
			if ("query" in table) throw new HeadraceError("E_UNSUPPORTED", "a source of objects takes no queries");
			const definition = this.#definition(table);
			const fields = declaredFields(definition) ?? (await this.#inferred(table, definition));
			this.#fields.set(table.name, fields);
			described.push({
				name: table,
				kind: "table",
				columns: fields.map((field) => ({ ...field, nativeType: typeName(field.type), fidelity: "exact" })),
				primaryKey: definition.key ?? [],
				warnings: [],
			});
		}
		return described;
	}

	async #inferred(table: TableName, definition: ObjectTable): Promise<readonly Field[]> {
		const built = await buildBatches(definition.rows(undefined));
		this.#begun.set(table.name, built);
		return built.fields;
	}

	#definition(table: TableName): ObjectTable {
		const definition = this.#tables.get(table.name);
		if (definition === undefined) throw new HeadraceError("E_UNKNOWN_TABLE", `there is no table ${qualified(table)}`);
		return definition;
	}

	async snapshot(): Promise<Snapshot> {
		return {
			readers: 1,
			clock: timestampText(BigInt(Date.now()) * 1000n),
			cursorMax: () => {
				throw new HeadraceError("E_UNSUPPORTED", "a source of objects has modes full and interval only");
			},
			split: async () => [{ index: 0 }],
			read: (request) => this.#read(request),
			[Symbol.asyncDispose]: async () => {},
		};
	}

	async *#read(request: ReadRequest): AsyncGenerator<Batch, void, undefined> {
		const { name } = request.table;
		const begun = request.window === undefined ? this.#begun.get(name.name) : undefined;
		this.#begun.delete(name.name);
		const fields = this.#fields.get(name.name);
		const built =
			begun ??
			(await buildBatches(this.#definition(name).rows(request.window), fields === undefined ? {} : { fields }));
		for await (const batch of built.batches) {
			request.signal?.throwIfAborted();
			yield batch;
		}
	}

	async [Symbol.asyncDispose](): Promise<void> {
		for (const { batches } of this.#begun.values()) await batches[Symbol.asyncIterator]().return?.();
		this.#begun.clear();
	}
}

function declaredFields(definition: ObjectTable): Field[] | null {
	if (definition.types === undefined) return null;
	const key = new Set(definition.key);
	return Object.entries(definition.types).map(([name, text]) => {
		const type = parseColumnType(text);
		if (type === null)
			throw new HeadraceError("E_INVALID_VALUE", `column ${name}: ${JSON.stringify(text)} is not a type`, {
				hint: "Types are such as int64, float64, decimal(12,2), text, date, timestamp, timestamptz, json, binary.",
			});
		return { name, type, nullable: !key.has(name) };
	});
}
