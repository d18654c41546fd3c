import type { Column } from "../../../src/core/index.ts";
import type { EngineConnection } from "../../../src/engine/index.ts";
import { readValue } from "../../../src/engine/value.ts";
import { decodeName } from "./catalog.ts";

/** A result as the wire has it: https://github.com/snowflakedb/snowflake-connector-nodejs (lib/connection/result). */
export interface ResultSet {
	readonly rowtype: readonly RowType[];
	readonly rowset: readonly (readonly (string | null)[])[];
	/** See lib/connection/result/statement_type.js. */
	readonly statementTypeId?: number;
}

interface RowType {
	readonly name: string;
	readonly type: string;
	readonly nullable: boolean;
	readonly length: number | null;
	readonly precision: number | null;
	readonly scale: number | null;
}

const rowType = (
	name: string,
	type: string,
	precision: number | null = null,
	scale: number | null = null,
): RowType => ({
	name,
	type,
	nullable: true,
	length: type === "text" ? 16_777_216 : null,
	precision,
	scale,
});

/** A result of texts. */
export function textResult(columns: readonly string[], rows: readonly (readonly (string | null)[])[]): ResultSet {
	return { rowtype: columns.map((name) => rowType(name, "text")), rowset: rows };
}

/** A result of one number a column. */
export function countResult(counts: Readonly<Record<string, number>>): ResultSet {
	return {
		rowtype: Object.keys(counts).map((name) => rowType(name, "fixed", 19, 0)),
		rowset: [Object.values(counts).map(String)],
	};
}

export function statusResult(status = "Statement executed successfully."): ResultSet {
	return textResult(["status"], [[status]]);
}

/** The rows of a query. */
export async function queryResult(connection: EngineConnection, sql: string): Promise<ResultSet> {
	const { fields, batches } = await connection.stream(sql);
	const rowset: (string | null)[][] = [];
	for await (const batch of batches) {
		for (let row = 0; row < batch.rowCount; row++) rowset.push(batch.columns.map((column) => wireValue(column, row)));
		batch.release();
	}
	const rowtype = fields.map(({ name, type }) => {
		const label = decodeName(name);
		switch (type.kind) {
			case "decimal":
				return rowType(label, "fixed", type.precision, type.scale);
			case "float32":
			case "float64":
				return rowType(label, "real");
			case "boolean":
			case "date":
			case "binary":
				return rowType(label, type.kind);
			case "time":
				return rowType(label, "time", null, 9);
			case "timestamp":
				return rowType(label, "timestamp_ntz", null, 9);
			case "timestamptz":
				return rowType(label, "timestamp_tz", null, 9);
			case "json":
				return rowType(label, "variant");
			case "text":
			case "uuid":
			case "interval":
			case "list":
				return rowType(label, "text");
			default:
				return rowType(label, "fixed", 38, 0);
		}
	});
	return { rowtype, rowset };
}

function seconds(micros: bigint): string {
	const whole = micros / 1_000_000n - (micros % 1_000_000n < 0n ? 1n : 0n);
	return `${whole}.${String(micros - whole * 1_000_000n).padStart(6, "0")}000`;
}

function wireValue(column: Column, row: number): string | null {
	if (column.isNull(row)) return null;
	switch (column.type.kind) {
		case "boolean":
			return column.u8[row] === 1 ? "1" : "0";
		case "date":
			return String(column.i32[row]!);
		case "time":
		case "timestamp":
			return seconds(column.i64[row]!);
		case "timestamptz":
			// Minutes of the zone's offset, with 1440 added.
			return `${seconds(column.i64[row]!)} 1440`;
		default:
			return String(readValue(column, row));
	}
}
