import { type Batch, BatchPool, type Column, type Field, parseColumnType } from "../../src/core/index.ts";

/** `a int64, b text` as fields; all nullable. */
export function fieldsOf(text: string): Field[] {
	return text.split(/, (?![^(]*\))/).map((part) => {
		const [name, type] = part.trim().split(/ (.*)/) as [string, string];
		const columnType = parseColumnType(type);
		if (columnType === null) throw new Error(`no type ${type}`);
		return { name, type: columnType, nullable: true };
	});
}

/** A value of a test row: numbers for floats and small integers, bigint for every integer, bytes for binary. */
export type Cell = number | bigint | string | boolean | Uint8Array | null | readonly [number, number, bigint];

export function setCell(column: Column, row: number, cell: Cell): void {
	if (cell === null) {
		column.setNull(row);
		return;
	}
	switch (column.type.kind) {
		case "boolean":
			column.u8[row] = cell ? 1 : 0;
			return;
		case "float32":
			column.f32[row] = cell as number;
			return;
		case "float64":
			column.f64[row] = cell as number;
			return;
		case "interval": {
			const [months, days, micros] = cell as readonly [number, number, bigint];
			column.i32[row << 2] = months;
			column.i32[(row << 2) + 1] = days;
			column.i64[(row << 1) + 1] = micros;
			return;
		}
		case "text":
		case "json":
		case "list":
		case "binary": {
			const bytes = typeof cell === "string" ? Buffer.from(cell) : (cell as Uint8Array);
			column.setBytes(row, bytes, 0, bytes.length);
			return;
		}
		default: {
			const value = BigInt(cell as bigint | number);
			if (column.width === 1) column.u8[row] = Number(BigInt.asUintN(8, value));
			else if (column.width === 2) column.i16[row] = Number(BigInt.asIntN(16, value));
			else if (column.width === 4) column.i32[row] = Number(BigInt.asIntN(32, value));
			else if (column.width === 8) column.i64[row] = BigInt.asIntN(64, value);
			else column.setInt128(row, value);
		}
	}
}

/** Rows as batches of a pool, `batchRows` rows each. */
export async function* batchesOf(
	fields: readonly Field[],
	rows: readonly (readonly Cell[])[],
	options: { readonly batchRows?: number; readonly pool?: BatchPool } = {},
): AsyncGenerator<Batch> {
	const pool = options.pool ?? new BatchPool(fields);
	const batchRows = Math.min(options.batchRows ?? pool.capacity, pool.capacity);
	for (let start = 0; start < rows.length; start += batchRows) {
		const batch = pool.take();
		const part = rows.slice(start, start + batchRows);
		part.forEach((row, index) => {
			row.forEach((cell, column) => {
				setCell(batch.columns[column]!, index, cell);
			});
		});
		batch.rowCount = part.length;
		yield batch;
	}
}
