import {
	type Batch,
	type ColumnType,
	type Field,
	HeadraceError,
	holdsType,
	INTERVAL_TAG_COLUMN,
	type LoadInterval,
	type LoadRequest,
	qualified,
	sameType,
	type TargetTable,
	typeName,
	widerType,
} from "../core/index.ts";

type Shape = Pick<LoadRequest, "target" | "write" | "interval">;

/**
 * Columns of the table after a load: a replaced table has the target's; any other keeps its own (`known`, null when it
 * is new), gets new ones, and wider types where they hold the old values too. `kept` is the type that one is kept as.
 * @throws E_SCHEMA when a type changed to one that does not
 */
export function fieldsAfter(
	known: readonly Field[] | null,
	{ target, write, interval }: Shape,
	kept: (type: ColumnType) => ColumnType,
): Field[] {
	const wanted: Field[] = target.columns.map(({ name, type, nullable }) => ({ name, type: kept(type), nullable }));
	if (interval !== undefined && interval.column === undefined)
		wanted.push({ name: INTERVAL_TAG_COLUMN, type: { kind: "text" }, nullable: true });
	if (known === null || (write === "replace" && interval === undefined)) return wanted;
	const fields = [...known];
	for (const column of wanted) {
		const before = oldNameOf(column.name, target, fields);
		const index = fields.findIndex((field) => field.name === before);
		// Rows that are there already have no value for a column that is new.
		if (index < 0) {
			fields.push({ ...column, nullable: true });
			continue;
		}
		const old = fields[index]!;
		const type = commonType(old.type, column.type);
		if (type === null)
			throw new HeadraceError(
				"E_SCHEMA",
				`column ${column.name} of ${qualified(target.name)} is ${typeName(old.type)} and the rows have ${typeName(column.type)}`,
			);
		fields[index] = { name: column.name, type, nullable: old.nullable || column.nullable };
	}
	return fields;
}

/** The type that holds the values of both; null when neither of them does nor a wider one. */
function commonType(known: ColumnType, wanted: ColumnType): ColumnType | null {
	if (holdsType(known, wanted)) return known;
	return holdsType(wanted, known) ? wanted : widerType(known, wanted);
}

/** The name under which old rows have a column: its own, or the one that it was renamed from. */
export function oldNameOf(name: string, target: TargetTable, old: readonly Field[]): string {
	const has = (other: string) => old.some((field) => field.name === other);
	const before = target.columns.find((column) => column.name === name)?.renamedFrom;
	if (before === undefined || has(name) || !has(before)) return name;
	return target.columns.some((column) => column.name === before) ? name : before;
}

/** Whether files of one shape and files of the other can be one table. */
export function sameFields(a: readonly Field[], b: readonly Field[]): boolean {
	return (
		a.length === b.length &&
		a.every((field, index) => field.name === b[index]!.name && sameType(field.type, b[index]!.type))
	);
}

export function tagOf(interval: LoadInterval): string {
	return `${interval.start}/${interval.end}`;
}

/** Incoming rows, counted and looked at for NULLs where none may be. Ends with E_STOPPED when it is told to. */
export class Incoming {
	rows = 0;
	readonly fields: readonly Field[];
	readonly #request: Pick<LoadRequest, "target" | "input" | "signal">;

	constructor(request: Pick<LoadRequest, "target" | "input" | "signal">) {
		this.#request = request;
		this.fields = request.input.fields;
		const names = new Set(this.fields.map((field) => field.name));
		for (const { name } of request.target.columns)
			if (!names.has(name))
				throw new HeadraceError("E_INTERNAL", `the rows for ${qualified(request.target.name)} lack ${name}`);
	}

	async *batches(): AsyncGenerator<Batch, void, undefined> {
		const { input, target, signal } = this.#request;
		const strict = target.columns.flatMap(({ name, nullable }) => {
			const isKey = target.key.includes(name);
			const index = this.fields.findIndex((field) => field.name === name);
			return isKey || !nullable ? [{ name, index, isKey }] : [];
		});
		const streams =
			input.kind === "batches"
				? [input.batches]
				: input.localPaths.map((path) => input.format.read(path, input.fields));
		for (const stream of streams)
			for await (const batch of stream) {
				this.rows += batch.rowCount;
				const bad = strict.find(({ index }) => batch.columns[index]!.nullCount > 0);
				if (bad !== undefined || signal?.aborted === true) batch.release();
				if (signal?.aborted === true) throw new HeadraceError("E_STOPPED", "stopped while rows were being loaded");
				if (bad !== undefined)
					throw new HeadraceError(
						bad.isKey ? "E_NULL_KEY" : "E_VALUE",
						`column ${bad.name} of ${qualified(target.name)} can't be NULL`,
					);
				yield batch;
			}
	}
}
