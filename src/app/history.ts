import { type CheckedPipeline, matchesPattern, parsePattern, selectedTable } from "../config/index.ts";
import {
	type Destination,
	type DestinationReads,
	HeadraceError,
	HISTORY_COLUMNS,
	qualified,
	type RecordedSchema,
	readsOf,
	type SqlRow,
	type TableName,
} from "../core/index.ts";
import type { HistoryRows } from "./api.ts";
import { tableNameOf } from "./position-changes.ts";
import { openTarget } from "./session.ts";

const TIME = /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(?::\d{2})?)(\.\d{1,6})?(Z|[+-]\d{2}(?::?\d{2})?)$/;

/**
 * A time with its zone, as canonical UTC text: `2026-11-21T12:00+02:00` → `2026-11-21 10:00:00.000000+00`.
 * @throws E_INVALID_VALUE
 */
export function asOfTime(text: string): string {
	const [, day, time, fraction = "", zone] = TIME.exec(text.trim()) ?? [];
	const seconds = time?.length === 5 ? `${time}:00` : time;
	const offset =
		zone === undefined || zone === "Z"
			? "Z"
			: zone.length === 3
				? `${zone}:00`
				: zone.replace(/^(.\d\d)(\d\d)$/, "$1:$2");
	const ms = day === undefined ? Number.NaN : Date.parse(`${day}T${seconds}${offset}`);
	// A day that does not exist is taken for a later one.
	const isReal = !Number.isNaN(ms) && new Date(`${day}T00:00:00Z`).toISOString().startsWith(day ?? "");
	if (!isReal)
		throw new HeadraceError("E_INVALID_VALUE", `${JSON.stringify(text.slice(0, 60))} is no time with a zone`, {
			hint: "Write it as 2026-11-21T10:00:00Z or 2026-11-21T12:00:00+02:00.",
		});
	const [date, clock] = new Date(ms).toISOString().slice(0, 19).split("T");
	return `${date} ${clock}.${fraction.slice(1).padEnd(6, "0")}+00`;
}

interface HistoryTable {
	readonly into: TableName;
	readonly schema: RecordedSchema;
}

/**
 * The rows of a table of write history as they stood at a time, by the destination's SQL. The source is not asked.
 * @throws E_UNKNOWN_TABLE, E_UNSUPPORTED, E_INVALID_VALUE for a time that is none or before the history's begin
 */
export async function openHistory(
	pipeline: CheckedPipeline,
	table: string,
	asOf: string,
	signal: AbortSignal | undefined,
): Promise<HistoryRows> {
	const at = asOfTime(asOf);
	const destination = await openTarget(pipeline);
	try {
		return await historyOf(destination, pipeline, { table, at, signal });
	} catch (error) {
		await destination[Symbol.asyncDispose]();
		throw error;
	}
}

async function historyOf(
	destination: Destination,
	pipeline: CheckedPipeline,
	{ table, at, signal }: { readonly table: string; readonly at: string; readonly signal: AbortSignal | undefined },
): Promise<HistoryRows> {
	const sql = readsOf(destination);
	if (sql?.select === undefined)
		throw new HeadraceError("E_UNSUPPORTED", `${pipeline.to.type} keeps no history that can be asked`, {
			hint: "duckdb, postgres, redshift, snowflake and lake do.",
		});
	const { into, schema } = chosenTable(pipeline, await destination.schemas(pipeline.name), table);
	const existing = await destination.describe(into);
	const has = new Set(existing?.columns.map(({ name }) => destination.foldName(name)));
	if (!has.has(destination.foldName(HISTORY_COLUMNS.validTo)))
		throw new HeadraceError("E_UNSUPPORTED", `${qualified(into)} keeps no history`, {
			hint: "Give the table `mode: cdc` and `write: history`; its history begins with its next run.",
		});
	const columns = schema.columns.map(({ target }) => target).filter((name) => has.has(destination.foldName(name)));
	const key = schema.columns.flatMap(({ target, key: place }) => (place === undefined ? [] : [{ target, place }]));
	const names = key.sort((a, b) => a.place - b.place).map(({ target }) => target);
	const begins = await beginOf(sql, into, at, signal);
	const quoted = (list: readonly string[]) => list.map(sql.quoteIdentifier).join(", ");
	const [from, to] = [sql.quoteIdentifier(HISTORY_COLUMNS.validFrom), sql.quoteIdentifier(HISTORY_COLUMNS.validTo)];
	const time = timeSql(sql, at);
	const query =
		`SELECT ${quoted(columns)} FROM ${sql.relation(into)} WHERE ${from} <= ${time} AND (${to} IS NULL OR ${to} > ${time})` +
		(names.length === 0 ? "" : ` ORDER BY ${quoted(names)}`);
	const rows: AsyncIterable<readonly SqlRow[]> = sql.select(query, signal);
	return {
		table: qualified(into),
		columns,
		key: names,
		as_of: at,
		begins,
		rows,
		[Symbol.asyncDispose]: () => destination[Symbol.asyncDispose](),
	};
}

/** When the history begins; null when the table never had a row. */
async function beginOf(
	sql: DestinationReads,
	into: TableName,
	at: string,
	signal: AbortSignal | undefined,
): Promise<string | null> {
	const from = sql.quoteIdentifier(HISTORY_COLUMNS.validFrom);
	const [row] = await sql.query(
		`SELECT CAST(min(${from}) AS VARCHAR(64)) AS begins, CASE WHEN min(${from}) > ${timeSql(sql, at)} THEN 'later' END AS later
		FROM ${sql.relation(into)}`,
		signal,
	);
	const begins = row?.["begins"] ?? null;
	if (row?.["later"] === "later")
		throw new HeadraceError("E_INVALID_VALUE", `the history of ${qualified(into)} begins at ${begins}, after ${at}`, {
			hint: "What the table held before is not known: choose a later time.",
		});
	return begins;
}

function timeSql(sql: DestinationReads, at: string): string {
	return `CAST(${sql.quoteLiteral(at)} AS TIMESTAMP WITH TIME ZONE)`;
}

/** The table by its name in the source or in the destination. */
function chosenTable(pipeline: CheckedPipeline, schemas: readonly RecordedSchema[], text: string): HistoryTable {
	const loaded = schemas.flatMap((schema) => {
		const source = tableNameOf(schema.stream);
		const selected = selectedTable(pipeline, source);
		return selected === null ? [] : [{ source, schema, ...selected }];
	});
	const pattern = parsePattern(text);
	const matches = loaded.filter(({ source, into }) => matchesPattern(pattern, source) || matchesPattern(pattern, into));
	const kept = loaded.filter(({ rule }) => rule.options.write === "history").map(({ source }) => qualified(source));
	const hint =
		kept.length === 0 ? "No table with write history was loaded yet." : `History is kept of: ${kept.join(", ")}.`;
	const [found, another] = matches;
	if (found === undefined)
		throw new HeadraceError("E_UNKNOWN_TABLE", `${pipeline.name} has loaded no table ${JSON.stringify(text)}`, {
			hint,
		});
	if (another !== undefined)
		throw new HeadraceError("E_UNKNOWN_TABLE", `${JSON.stringify(text)} names several tables of ${pipeline.name}`, {
			hint,
		});
	return found;
}
