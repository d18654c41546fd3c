import { type Batch, type Field, HeadraceError, type ReadRequest, type SourceColumn } from "../../core/index.ts";
import { duckdbType, type EngineConnection, selectList } from "../../engine/index.ts";
import { duckdbDialect } from "../../sql/index.ts";

const BUFFER_BYTES_DEFAULT = 8 << 20;
const { quoteIdentifier, quoteLiteral } = duckdbDialect;

/** The window and the expert's own condition of a read as SQL; null when there is neither. */
export function conditionOf({ window, where, table }: ReadRequest): string | null {
	const parts: string[] = [];
	if (window !== undefined) {
		const column = columnNamed(table.columns, window.column);
		const name = quoteIdentifier(column.name);
		const literal = (text: string) => `CAST(${quoteLiteral(text)} AS ${duckdbType(column.type)})`;
		const { from, to } = window;
		if (from !== null && from !== undefined) parts.push(`${name} >= ${literal(from)}`);
		if (to !== null && to !== undefined)
			parts.push(`${name} ${window.toIncluded === true ? "<=" : "<"} ${literal(to)}`);
	}
	if (where !== undefined) parts.push(`(${where}\n)`);
	return parts.length === 0 ? null : parts.join(" AND ");
}

export function columnNamed(columns: readonly SourceColumn[], name: string): SourceColumn {
	const column = columns.find((other) => other.name === name);
	if (column === undefined) throw new HeadraceError("E_UNKNOWN_COLUMN", `there is no column ${name}`);
	return column;
}

/** Batches that a condition lets through, by way of a temporary table that may spill to disk. */
export async function* filtered(
	connection: EngineConnection,
	input: { readonly fields: readonly Field[]; readonly batches: AsyncIterable<Batch> },
	output: readonly Field[],
	condition: string,
	options: { readonly signal?: AbortSignal; readonly bufferBytesMax?: number },
): AsyncGenerator<Batch, void, undefined> {
	const names = (fields: readonly Field[]) => fields.map((field) => quoteIdentifier(field.name)).join(", ");
	await connection.execute(
		`CREATE OR REPLACE TEMP TABLE chosen (${output.map((field) => `${quoteIdentifier(field.name)} ${duckdbType(field.type)}`).join(", ")})`,
	);
	await connection.consume({
		...input,
		statement: (relation) =>
			`INSERT INTO chosen SELECT ${names(output)} FROM (SELECT ${selectList(input.fields)} FROM ${relation}) AS file_rows WHERE ${condition}`,
		bufferBytesMax: options.bufferBytesMax ?? BUFFER_BYTES_DEFAULT,
		threads: 1,
		...(options.signal === undefined ? {} : { signal: options.signal }),
	});
	const { batches } = await connection.stream(
		`SELECT ${names(output)} FROM chosen`,
		options.signal === undefined ? {} : { signal: options.signal },
	);
	yield* batches;
}

/** Highest value of a column as canonical text, and how many are NULL. */
export async function highestValue(
	connection: EngineConnection,
	field: Field,
	batches: AsyncIterable<Batch>,
): Promise<{ readonly batch: Batch; readonly nulls: number } | null> {
	const type = duckdbType(field.type);
	const name = quoteIdentifier(field.name);
	await connection.execute(`CREATE OR REPLACE TEMP TABLE highest (value ${type}, nulls BIGINT)`);
	await connection.consume({
		fields: [field],
		batches,
		statement: (relation) =>
			`INSERT INTO highest SELECT max(${name}), count(*) - count(${name}) FROM (SELECT ${selectList([field])} FROM ${relation}) AS file_rows`,
		bufferBytesMax: BUFFER_BYTES_DEFAULT,
	});
	const [count] = await connection.query("SELECT coalesce(sum(nulls), 0)::BIGINT AS nulls FROM highest");
	const { batches: result } = await connection.stream("SELECT max(value) AS value FROM highest");
	for await (const batch of result) return { batch, nulls: Number(count!["nulls"]) };
	return null;
}
