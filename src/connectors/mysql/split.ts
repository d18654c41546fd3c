import type { Chunk, SourceColumn, SourceTable } from "../../core/index.ts";
import { type Axis, axisOf } from "./axis.ts";
import type { MysqlConnection } from "./connection.ts";
import { decoderOf } from "./row-decoder.ts";
import { all, tableSql, textLiteral } from "./sql.ts";

const CHUNKS_MAX = 4096;
/** Parts that a range is cut into at once; those that hold too much are cut again. */
const PARTS_MAX = 64;
/** A range of up to this times the wanted rows is left as it is: estimates are no better. */
const TOLERANCE = 1.5;

interface Work {
	readonly connection: MysqlConnection;
	readonly table: SourceTable;
	readonly rows: number;
	readonly conditions: string[];
}

/**
 * Ranges of the primary key with about `rows` rows each. Numbers and times are cut by reckoning, guided by the server's
 * own estimates (EXPLAIN reads a few pages of the index); text and bytes by reading the key in its order. All comparing
 * is the server's, and the first and last ranges are open, so that every row is in exactly one, whatever the collation.
 */
export async function splitTable(connection: MysqlConnection, table: SourceTable, rows: number): Promise<Chunk[]> {
	const whole: Chunk[] = [{ index: 0 }];
	const estimated = table.estimatedRows ?? 0;
	const key = table.primaryKey.map((name) => table.columns.find((column) => column.name === name));
	const [first] = key;
	if (table.kind !== "table" || first === undefined || estimated <= rows) return whole;
	const work: Work = { connection, table, rows: Math.max(1, rows, Math.ceil(estimated / CHUNKS_MAX)), conditions: [] };
	if (axisOf(first) !== undefined) await splitByAxis(work, key, [], estimated);
	else if (canProbe(first)) await splitByProbes(work, first);
	if (work.conditions.length < 2) return whole;
	return work.conditions.map((condition, index) => ({ index, condition, byKey: true }));
}

/** Cuts the rows that `prefix` (equal values of the key's first columns) leaves, by the next column. */
async function splitByAxis(
	work: Work,
	key: readonly (SourceColumn | undefined)[],
	prefix: readonly string[],
	estimated: number,
): Promise<void> {
	const column = key[prefix.length];
	const axis = column === undefined ? undefined : axisOf(column);
	if (column === undefined || axis === undefined) {
		work.conditions.push(prefix.join(" AND "));
		return;
	}
	const name = decoderOf(column).column;
	const [row] = await ask(work, `SELECT MIN(${name}), MAX(${name}) FROM ${tableSql(work.table.name)}${all(prefix)}`);
	const highest = row?.[1] === null || row?.[1] === undefined ? null : axis.toNumber(row[1]);
	if (highest === null) {
		work.conditions.push(prefix.length === 0 ? "TRUE" : prefix.join(" AND "));
		return;
	}
	// A zero date lies below whatever the reckoning begins with: the first range is open.
	const lowest = axis.toNumber(row?.[0] ?? "") ?? (highest < 0n ? highest : 0n);
	await cutRange(work, key, prefix, axis, { low: null, high: null, from: lowest, to: highest + 1n }, estimated);
}

/** The values [from, to) of a column; an end that is open has no condition. */
interface Range {
	readonly low: bigint | null;
	readonly high: bigint | null;
	readonly from: bigint;
	readonly to: bigint;
}

async function cutRange(
	work: Work,
	key: readonly (SourceColumn | undefined)[],
	prefix: readonly string[],
	axis: Axis,
	range: Range,
	estimated: number,
): Promise<void> {
	const name = decoderOf(key[prefix.length]!).column;
	const { low, high, from, to } = range;
	const conditions = [
		...prefix,
		...(low === null ? [] : [`${name} >= ${axis.toSql(low)}`]),
		...(high === null ? [] : [`${name} < ${axis.toSql(high)}`]),
	];
	const tooMany = estimated > work.rows * TOLERANCE && work.conditions.length < CHUNKS_MAX;
	if (tooMany && to - from > 1n) {
		const parts = BigInt(Math.min(PARTS_MAX, Math.ceil(estimated / work.rows)));
		const width = (to - from + parts - 1n) / parts;
		for (let start = from; start < to; start += width) {
			const end = start + width;
			const part: Range = {
				low: start === from ? low : start,
				high: end >= to ? high : end,
				from: start,
				to: end >= to ? to : end,
			};
			await cutRange(work, key, prefix, axis, part, await estimate(work, name, prefix, axis, part));
		}
		return;
	}
	// One value of this column holds too many rows: the next column of the key cuts them.
	if (tooMany && key[prefix.length + 1] !== undefined) {
		const only = axis.toSql(from);
		const push = (condition: string) => work.conditions.push([...prefix, condition].join(" AND "));
		if (low === null) push(`${name} < ${only}`);
		await splitByAxis(work, key, [...prefix, `${name} = ${only}`], estimated);
		if (high === null) push(`${name} > ${only}`);
		return;
	}
	work.conditions.push(conditions.length === 0 ? "TRUE" : conditions.join(" AND "));
}

async function estimate(work: Work, name: string, prefix: readonly string[], axis: Axis, range: Range) {
	const { low, high } = range;
	const conditions = [
		...prefix,
		...(low === null ? [] : [`${name} >= ${axis.toSql(low)}`]),
		...(high === null ? [] : [`${name} < ${axis.toSql(high)}`]),
	];
	const from = `${tableSql(work.table.name)} FORCE INDEX (PRIMARY)`;
	const { fields, rows } = await work.connection.answer(
		`EXPLAIN FORMAT=TRADITIONAL SELECT 1 FROM ${from}${all(conditions)}`,
		work.table.name,
	);
	const index = fields.findIndex((field) => field.name.toLowerCase() === "rows");
	return Number(rows[0]?.[index] ?? 0);
}

/** ENUM and SET are stored in another order than they compare in. */
function canProbe(column: SourceColumn): boolean {
	const { wire } = decoderOf(column);
	return wire === "bytes" || wire === "uuid" || (wire === "text" && !/^(?:enum|set)\b/i.test(column.nativeType));
}

/** Walks the key and takes every n-th value as a border. */
async function splitByProbes(work: Work, column: SourceColumn): Promise<void> {
	const { column: name, wire } = decoderOf(column);
	const selected = wire === "bytes" ? `HEX(${name})` : name;
	const toSql = (text: string) => (wire === "bytes" ? `x'${text}'` : textLiteral(text));
	const from = `FROM ${tableSql(work.table.name)} FORCE INDEX (PRIMARY)`;
	const borderAfter = async (low: string | null): Promise<string | null> => {
		const where = low === null ? "" : ` WHERE ${name} >= ${low}`;
		const isSame = low === null ? "0" : `${name} = ${low}`;
		const [row] = await ask(
			work,
			`SELECT ${selected}, ${isSame} ${from}${where} ORDER BY ${name} LIMIT 1 OFFSET ${work.rows}`,
		);
		if (row?.[0] === null || row?.[0] === undefined) return null;
		if (row[1] !== "1") return toSql(row[0]);
		// All these rows have one value of the key's first column.
		const [next] = await ask(work, `SELECT ${selected} ${from} WHERE ${name} > ${low} ORDER BY ${name} LIMIT 1`);
		return next?.[0] === null || next?.[0] === undefined ? null : toSql(next[0]);
	};
	let low: string | null = null;
	while (work.conditions.length < CHUNKS_MAX * 2) {
		const high: string | null = await borderAfter(low);
		const conditions = [low === null ? null : `${name} >= ${low}`, high === null ? null : `${name} < ${high}`];
		work.conditions.push(conditions.filter((condition) => condition !== null).join(" AND ") || "TRUE");
		if (high === null) return;
		low = high;
	}
	work.conditions.push(`${name} >= ${low}`);
}

function ask(work: Work, sql: string) {
	return work.connection.rows(sql, work.table.name);
}
