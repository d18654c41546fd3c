import { type CheckedPipeline, selectedTable } from "../config/index.ts";
import { type Destination, HeadraceError, qualified, readsOf } from "../core/index.ts";
import { firstTexts } from "../sql/index.ts";
import type { SampleRows } from "./api.ts";
import { tableNameOf } from "./position-changes.ts";
import { maskedText, SAMPLE_CHARACTERS_MAX } from "./sample-mask.ts";
import { openTarget } from "./session.ts";

const ROWS = 5;
/** More are not read: nobody looks at them, and a row may have thousands. */
const COLUMNS_MAX = 60;
const ANSWER_MS_MAX = 15_000;
/**
 * Types of which even the shape tells the value, or nothing at all, or that an engine does not cast to text. Of them it is
 * only asked whether there is a value.
 */
const WITHOUT_SHAPE = /^(?:bool|bit|bytea|blob|binary|varbinary|varbyte|super|geo|hll)/i;

/**
 * A few rows of a table that the pipeline has loaded, as they lie in the destination, each value masked: see `maskedText`.
 * No value leaves this function, nor more than its first characters the destination.
 * @throws E_UNKNOWN_TABLE, E_UNSUPPORTED where a destination can't be asked for a few rows, E_TIMEOUT
 */
export async function sampleRows(
	pipeline: CheckedPipeline,
	table: string,
	stop: AbortSignal | undefined,
): Promise<SampleRows> {
	if (pipeline.to.type === "lake" && pipeline.to.path === undefined)
		throw new HeadraceError(
			"E_UNSUPPORTED",
			"rows of a lake in a bucket are not shown: all of a table would be fetched",
			{
				hint: "Ask the lake's own query engine for some rows.",
			},
		);
	const late = AbortSignal.timeout(ANSWER_MS_MAX);
	const signal = stop === undefined ? late : AbortSignal.any([stop, late]);
	await using destination = await openTarget(pipeline);
	try {
		return await rowsOf(destination, pipeline, table, signal);
	} catch (error) {
		if (!late.aborted || stop?.aborted === true) throw error;
		throw new HeadraceError("E_TIMEOUT", `${pipeline.to.name} gave no rows within ${ANSWER_MS_MAX / 1000} s`, {
			hint: "Ask again when it is less busy.",
		});
	}
}

async function rowsOf(
	destination: Destination,
	pipeline: CheckedPipeline,
	table: string,
	signal: AbortSignal,
): Promise<SampleRows> {
	const sql = readsOf(destination);
	if (sql === undefined)
		throw new HeadraceError("E_UNSUPPORTED", `rows in ${pipeline.to.type} can't be asked for by SQL`, {
			hint: "duckdb, postgres, redshift, snowflake and a lake on this machine's disk can. Look at the files themselves.",
		});
	const schemas = await destination.schemas(pipeline.name);
	const schema = schemas.find(({ stream }) => qualified(tableNameOf(stream)) === table);
	const into = selectedTable(pipeline, tableNameOf(table))?.into;
	if (schema === undefined || into === undefined)
		throw new HeadraceError(
			"E_UNKNOWN_TABLE",
			`${pipeline.name} has loaded no table ${JSON.stringify(table.slice(0, 200))}`,
		);
	const existing = await destination.describe(into);
	if (existing === null)
		throw new HeadraceError("E_UNKNOWN_TABLE", `${qualified(into)} is not in the destination any more`, {
			hint: "“Clear and rerun” makes it anew.",
		});
	// Only what the pipeline brought: a table may have columns of others.
	const loaded = new Set(schema.columns.map(({ target }) => destination.foldName(target)));
	const columns = existing.columns.filter(({ name }) => loaded.has(destination.foldName(name)));
	const shown = columns.slice(0, COLUMNS_MAX).map(({ name, destinationType }) => ({
		name,
		destination_type: destinationType,
		hasShape: !WITHOUT_SHAPE.test(destinationType),
	}));
	// One character more than is shown: it tells that there are more.
	const query = firstTexts(sql, sql.relation(into), shown, { rows: ROWS, characters: SAMPLE_CHARACTERS_MAX + 1 });
	const rows = await sql.query(query, signal);
	return {
		into: qualified(into),
		columns: shown.map(({ name, destination_type }) => ({ name, destination_type })),
		columns_left_out: columns.length - shown.length,
		rows: rows.map((row) =>
			shown.map((_column, index) => {
				const text = row[`c${index}`] ?? null;
				return text === null ? null : maskedText(text);
			}),
		),
	};
}
