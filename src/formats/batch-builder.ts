import {
	BATCH_HEAP_BYTES_MAX,
	type Batch,
	BatchPool,
	Column,
	type ColumnType,
	type Field,
	HeadraceError,
	typeName,
} from "../core/index.ts";
import { inferFields } from "./infer.ts";
import { setInteger, setText } from "./value-parse.ts";
import { valueText } from "./value-text.ts";

/** A row of a custom source: values by column name; undefined and a missing name mean NULL. */
export type RowObject = Readonly<Record<string, unknown>>;

/**
 * Makes batches from objects, for sources written by hand. Accepted per type: booleans; numbers that are safe integers,
 * bigints and digits for integers and decimals; numbers for floats; canonical text (`2024-02-29`, `1.50`, `P1D`) for
 * everything; `Date` for timestamptz; Uint8Array for binary; arrays for lists; any JSON value for json.
 */
export class BatchBuilder {
	readonly fields: readonly Field[];
	readonly #pool: BatchPool;
	#batch: Batch | null = null;
	/** Rows appended so far. */
	rowCount = 0;

	constructor(fields: readonly Field[]) {
		this.fields = fields;
		this.#pool = new BatchPool(fields);
	}

	/**
	 * Adds a row; gives a batch when one is full.
	 * @throws E_VALUE naming column and row number (from 1) when a value is not of its column's type
	 */
	append(row: RowObject): Batch | null {
		this.#batch ??= this.#pool.take();
		const batch = this.#batch;
		const at = batch.rowCount;
		this.rowCount++;
		for (let index = 0; index < this.fields.length; index++) {
			const field = this.fields[index]!;
			const value = Object.hasOwn(row, field.name) ? row[field.name] : undefined;
			const column = batch.columns[index]!;
			if (value === null || value === undefined) {
				if (!field.nullable) throw this.#mismatch(field, "NULL, and the column is not nullable");
				column.setNull(at);
			} else if (!setValue(column, at, value)) throw this.#mismatch(field, kindOf(value));
		}
		batch.rowCount = at + 1;
		return batch.rowCount === this.#pool.capacity || batch.heapBytes >= BATCH_HEAP_BYTES_MAX ? this.flush() : null;
	}

	/** The rows that are not in a batch yet; null when there are none. */
	flush(): Batch | null {
		const batch = this.#batch;
		this.#batch = null;
		if (batch !== null && batch.rowCount === 0) {
			batch.release();
			return null;
		}
		return batch;
	}

	#mismatch(field: Field, found: string): HeadraceError {
		return new HeadraceError(
			"E_VALUE",
			`column ${field.name}, row ${this.rowCount}: expected ${typeName(field.type)}, found ${found}`,
			{ hint: `Give values that are ${typeName(field.type)}, or give the column another type.` },
		);
	}
}

/** Says what a value is without showing it. */
function kindOf(value: unknown): string {
	if (value instanceof Date) return Number.isNaN(value.getTime()) ? "an invalid Date" : "a Date";
	if (value instanceof Uint8Array) return "bytes";
	if (Array.isArray(value)) return "an array";
	if (typeof value === "number" && !Number.isInteger(value)) return "a number with decimals";
	if (typeof value === "number" && !Number.isSafeInteger(value)) return "a number beyond 2^53 (give a bigint)";
	if (typeof value === "string" && !value.isWellFormed()) return "a string with half a surrogate pair";
	return typeof value === "object" ? "an object" : `a ${typeof value} that it cannot hold`;
}

function setValue(column: Column, row: number, value: unknown): boolean {
	const { type } = column;
	switch (typeof value) {
		case "boolean":
			if (type.kind === "json") return setText(column, row, String(value));
			if (type.kind !== "boolean") return type.kind === "text" && setText(column, row, String(value));
			column.u8[row] = value ? 1 : 0;
			return true;
		case "number":
			return setNumber(column, row, value);
		case "bigint":
			if (type.kind === "decimal" || type.kind === "text" || type.kind === "json")
				return setText(column, row, String(value));
			return setInteger(column, row, value);
		case "string":
			if (!value.isWellFormed() || type.kind === "binary" || type.kind === "list") return false;
			return setText(column, row, type.kind === "json" ? JSON.stringify(value) : value);
		case "object":
			return value !== null && setObject(column, row, value);
		default:
			return false;
	}
}

function setNumber(column: Column, row: number, value: number): boolean {
	switch (column.type.kind) {
		case "float32":
			column.f32[row] = value;
			return true;
		case "float64":
			column.f64[row] = value;
			return true;
		case "text":
			return setText(column, row, Object.is(value, -0) ? "-0" : String(value));
		case "json":
			return Number.isFinite(value) && setText(column, row, String(value));
		case "decimal":
			// A number that prints without exponent is what its writer meant; 15 digits are exact in a double.
			return (
				Number.isFinite(value) && String(value).replace(/[-.]/g, "").length <= 15 && setText(column, row, String(value))
			);
		default:
			return Number.isSafeInteger(value) && setInteger(column, row, BigInt(value));
	}
}

function setObject(column: Column, row: number, value: object): boolean {
	const { type } = column;
	if (value instanceof Date) {
		const millis = value.getTime();
		if (Number.isNaN(millis)) return false;
		if (type.kind === "text" || type.kind === "json") {
			const text = value.toISOString();
			return setText(column, row, type.kind === "json" ? JSON.stringify(text) : text);
		}
		if (type.kind !== "timestamptz") return false;
		column.i64[row] = BigInt(millis) * 1000n;
		return true;
	}
	if (value instanceof Uint8Array) {
		if (type.kind !== "binary") return false;
		column.setBytes(row, value, 0, value.length);
		return true;
	}
	if (type.kind === "list") {
		const text = Array.isArray(value) ? listText(type.element, value) : null;
		return text !== null && setText(column, row, text);
	}
	if (type.kind !== "json") return false;
	const text = jsonText(value);
	return text?.isWellFormed() === true && setText(column, row, text);
}

/** A list as JSON whose elements are strings or null; each element must be of the element type. */
function listText(element: ColumnType, values: readonly unknown[]): string | null {
	const texts: (string | null)[] = [];
	let column: Column | null = null;
	for (const value of values) {
		if (value === null || value === undefined) texts.push(null);
		else if (element.kind === "text" && typeof value === "string") {
			if (!value.isWellFormed()) return null;
			texts.push(value);
		} else {
			column ??= new Column("element", element, 64);
			column.reset();
			if (!setValue(column, 0, value)) return null;
			texts.push(valueText(column, 0));
		}
	}
	return JSON.stringify(texts);
}

/** JSON text of any value; bigints become exact number tokens. Null when it holds what JSON has no form for. */
export function jsonText(value: unknown): string | null {
	try {
		return JSON.stringify(value, jsonItem) ?? null;
	} catch {
		return null;
	}
}

/** JSON.stringify would write NaN as null, and bytes, maps and sets as objects without their content. */
function jsonItem(_key: string, item: unknown): unknown {
	if (typeof item === "bigint") return (JSON as unknown as RawJson).rawJSON(String(item));
	const lost = typeof item === "number" ? !Number.isFinite(item) : ArrayBuffer.isView(item);
	if (lost || item instanceof Map || item instanceof Set) throw new TypeError("no JSON form");
	return item;
}

/** https://tc39.es/proposal-json-parse-with-source/, in Node since 21. */
interface RawJson {
	rawJSON(text: string): unknown;
}

export interface BuildOptions {
	/** Known fields; without them they are inferred from the first rows. */
	readonly fields?: readonly Field[];
	/** Rows that are looked at before the types are settled; default 1000. */
	readonly sampleRows?: number;
}

/**
 * Objects from any generator as batches. The fields are settled from the first `sampleRows` rows, each type widened
 * until it holds all of them; a later row that does not fit stops with E_VALUE. The caller releases the batches.
 */
export async function buildBatches(
	rows: AsyncIterable<RowObject> | Iterable<RowObject>,
	options: BuildOptions = {},
): Promise<{ readonly fields: readonly Field[]; readonly batches: AsyncIterable<Batch> }> {
	const iterator = Symbol.asyncIterator in rows ? rows[Symbol.asyncIterator]() : rows[Symbol.iterator]();
	const sample: RowObject[] = [];
	let fields = options.fields;
	if (fields === undefined) {
		const sampleRows = options.sampleRows ?? 1000;
		while (sample.length < sampleRows) {
			const next = await iterator.next();
			if (next.done) break;
			sample.push(next.value);
		}
		fields = inferFields(sample);
	}
	return { fields, batches: batchesOf(fields, sample, iterator) };
}

async function* batchesOf(
	fields: readonly Field[],
	sample: readonly RowObject[],
	rest: AsyncIterator<RowObject> | Iterator<RowObject>,
): AsyncGenerator<Batch, void, undefined> {
	const builder = new BatchBuilder(fields);
	const known = new Set(fields.map((field) => field.name));
	let finished = false;
	try {
		for (const row of sample) {
			const batch = builder.append(row);
			if (batch !== null) yield batch;
		}
		for (let next = await rest.next(); !next.done; next = await rest.next()) {
			for (const name of Object.keys(next.value))
				if (!known.has(name) && next.value[name] !== undefined)
					throw new HeadraceError(
						"E_VALUE",
						`row ${builder.rowCount + 1} has a column ${name} that earlier rows lack`,
						{
							hint: "Give the fields, or a larger sample.",
						},
					);
			const batch = builder.append(next.value);
			if (batch !== null) yield batch;
		}
		finished = true;
		const last = builder.flush();
		if (last !== null) yield last;
	} finally {
		builder.flush()?.release();
		// Ending early must end the generator that makes the rows too: it may hold a connection.
		if (!finished) await rest.return?.();
	}
}
