import { type Batch, type Column, HeadraceError, ROW_NUMBER_COLUMN } from "../../core/index.ts";
import { valueText } from "../../formats/index.ts";
import { quoteIdentifier, quoteLiteral } from "./sql-text.ts";
import { familyOf, lengthOf } from "./target-types.ts";

/** A statement ends at so many rows or bytes: https://docs.aws.amazon.com/redshift/latest/dg/c_redshift-sql.html (16 MB). */
const ROWS_MAX = 1000;
const BYTES_MAX = 1 << 20;

/** Up to here INSERT is quicker than COPY, which takes a second or more to begin. */
export const INSERT_ROWS_MAX = 1000;
export const INSERT_BYTES_MAX = 128 << 10;

export interface InsertRequest {
	/** Quoted. */
	readonly table: string;
	/** Types of the stage's columns, in the order of the batch's. */
	readonly types: readonly string[];
	readonly names: readonly string[];
	readonly batches: AsyncIterable<Batch>;
	/** The batches have no row numbers of their own. */
	readonly numbered: boolean;
	readonly execute: (sql: string) => Promise<unknown>;
}

/**
 * Rows by INSERT with several rows a statement, as
 * https://docs.aws.amazon.com/redshift/latest/dg/c_best-practices-multi-row-inserts.html has it; gives how many there
 * were. Every batch is released.
 */
export async function insertRows(request: InsertRequest): Promise<number> {
	const { table, names, types, batches, numbered, execute } = request;
	const columns = [...names, ...(numbered ? [] : [ROW_NUMBER_COLUMN])].map(quoteIdentifier).join(", ");
	const head = `INSERT INTO ${table} (${columns}) VALUES\n`;
	const literals = types.map(literalOf);
	let rows: string[] = [];
	let bytes = 0;
	let received = 0;
	const flush = async () => {
		if (rows.length === 0) return;
		const statement = head + rows.join(",\n");
		rows = [];
		bytes = 0;
		await execute(statement);
	};
	for await (const batch of batches)
		try {
			for (let row = 0; row < batch.rowCount; row++) {
				const values = batch.columns.map((column, at) => (literals[at] ?? bare)(column, row));
				if (!numbered) values.push(String(received));
				received++;
				const text = `(${values.join(", ")})`;
				rows.push(text);
				bytes += Buffer.byteLength(text);
				if (rows.length >= ROWS_MAX || bytes >= BYTES_MAX) await flush();
			}
		} finally {
			batch.release();
		}
	await flush();
	return received;
}

type Literal = (column: Column, row: number) => string;

const bare: Literal = (column, row) => valueText(column, row) ?? "NULL";

/** How values of a stage's column are written. */
function literalOf(type: string): Literal {
	const family = familyOf(type);
	switch (family) {
		case "SMALLINT":
		case "INTEGER":
		case "BIGINT":
		case "NUMERIC":
		case "BOOLEAN":
			return bare;
		case "VARBYTE":
			return notNull((text, column) => {
				if (text.length / 2 > lengthOf(type)) throw tooLong(column, type);
				return `FROM_HEX('${text}')`;
			});
		case "VARCHAR":
			return notNull((text, column) => {
				if (Buffer.byteLength(text) > lengthOf(type)) throw tooLong(column, type);
				if (text.includes("\0"))
					throw new HeadraceError("E_VALUE", `column ${column.name} holds a NUL character, which Redshift has not`);
				return quoteLiteral(text);
			});
		default:
			return notNull((text, column) => {
				if (/infinity/.test(text))
					throw new HeadraceError("E_VALUE", `column ${column.name} holds an infinite time, which Redshift has not`);
				return `CAST('${text}' AS ${type})`;
			});
	}
}

function notNull(write: (text: string, column: Column) => string): Literal {
	return (column, row) => {
		const text = valueText(column, row);
		return text === null ? "NULL" : write(text, column);
	};
}

function tooLong(column: Column, type: string): HeadraceError {
	return new HeadraceError("E_VALUE", `column ${column.name} holds a value that is longer than ${type}`, {
		hint: "Mend it at the source, drop the column by `columns: { …: drop }`, or map it to another type.",
	});
}
