import { type Batch, HeadraceError, type LoadRequest, qualified, type TargetTable } from "../../core/index.ts";
import { postgresDialect, stageColumn } from "../../sql/index.ts";
import type { Feed } from "./copy-in.ts";
import { type ColumnEncoder, isNullAt } from "./encode.ts";
import { encoderOf } from "./encoders.ts";
import { RowEncoder, type SentColumn } from "./row-encoder.ts";
import { quoteIdentifier } from "./sql-text.ts";
import { findColumn, type Relation } from "./target-table.ts";
import type { WriteSession } from "./write-session.ts";

/** A column that rows bring to a stage only, of the type that another column of the table has or that is named. */
export interface ExtraColumn {
	readonly name: string;
	/** As `pgTypeName` spells it. */
	readonly pgType: string;
	/** As the server spells it in DDL. */
	readonly spelled: string;
	/** See `encoderOf`. */
	readonly planned: string;
}

export interface CopyRows {
	/** Quoted. */
	readonly table: string;
	/** Whose columns' types the rows are written in. */
	readonly relation: Relation;
	/** The target, with a column that tags an interval when there is one. */
	readonly target: TargetTable;
	readonly request: Pick<LoadRequest, "input" | "bufferBytesMax" | "signal">;
	/** The table is a stage: its columns have a stage's names, and each row its number. */
	readonly staged?: boolean;
	/** The table is of this transaction: its rows are frozen, so that any snapshot sees them once it sees the table. */
	readonly freeze?: boolean;
	/** Columns of a stage that the target does not have, behind its own. */
	readonly extra?: readonly ExtraColumn[];
	/** The same text in each row of a column. */
	readonly constant?: { readonly column: string; readonly text: string };
	/** Rows for which this is false do not go in: SQL over the table's columns. */
	readonly where?: string;
	/** NULL in one of these is E_NULL_KEY. */
	readonly key?: readonly string[];
}

/** Puts the load's rows into a table, in their order; gives how many came, and how many of them went in. */
export async function copyRows(
	writer: WriteSession,
	into: CopyRows,
): Promise<{ readonly received: number; readonly copied: number }> {
	const { request, relation, target, staged } = into;
	const names: string[] = [];
	const sent: SentColumn[] = [];
	for (const column of target.columns) {
		names.push(staged ? stageColumn(postgresDialect, column.name) : column.name);
		if (column.name === into.constant?.column) {
			sent.push({ encoder: constantEncoder(into.constant.text), index: -1 });
			continue;
		}
		const found = findColumn(relation, column.name);
		sent.push(sentColumn(into, column.name, found && { ...found, planned: column.destinationType }));
	}
	for (const column of into.extra ?? []) {
		names.push(column.name);
		sent.push(sentColumn(into, column.name, column));
	}
	if (staged) {
		names.push(postgresDialect.rowIdentifier);
		sent.push({ encoder: numbering(), index: -1 });
	}
	let received = 0;
	const keyColumns = (into.key ?? []).map((name) => request.input.fields.findIndex((field) => field.name === name));
	const feed: Feed = async (out) => {
		const encoder = new RowEncoder(sent, out);
		await encoder.begin();
		for await (const batch of batchesOf(request.input)) {
			try {
				if (request.signal?.aborted)
					throw new HeadraceError("E_STOPPED", "the load was stopped; nothing of it was kept");
				refuseNullKeys(batch, keyColumns, target);
				await encoder.write(batch);
			} finally {
				batch.release();
			}
		}
		await encoder.end();
		received = encoder.rowCount;
	};
	const columns = names.map(quoteIdentifier).join(", ");
	const options = `FORMAT binary${into.freeze ? ", FREEZE" : ""}`;
	const where = into.where === undefined ? "" : ` WHERE ${into.where}`;
	const copied = await writer.copyIn(
		`COPY ${into.table} (${columns}) FROM STDIN WITH (${options})${where}`,
		request.bufferBytesMax,
		feed,
	);
	if (into.where === undefined && copied !== received)
		throw new HeadraceError("E_RECEIPT", `${received} rows were sent, and the server says it took ${copied}`);
	return { received, copied };
}

function sentColumn(
	{ request, target }: CopyRows,
	name: string,
	into: Pick<ExtraColumn, "pgType" | "spelled" | "planned"> | undefined,
): SentColumn {
	const index = request.input.fields.findIndex((field) => field.name === name);
	const field = request.input.fields[index];
	if (field === undefined || into === undefined)
		throw new HeadraceError("E_INTERNAL", `the rows for ${qualified(target.name)} lack the column ${name}`);
	const encoder = encoderOf(field.type, into.pgType, into.planned);
	if (encoder === null)
		throw new HeadraceError("E_SCHEMA", `column ${name} is ${into.spelled}, which the rows do not fit into`, {
			table: qualified(target.name),
		});
	return { encoder, index };
}

function refuseNullKeys(batch: Batch, key: readonly number[], target: TargetTable): void {
	for (const index of key) {
		const column = batch.columns[index];
		if (column === undefined || column.nullCount === 0) continue;
		for (let row = 0; row < batch.rowCount; row++)
			if (isNullAt(column, row))
				throw new HeadraceError(
					"E_NULL_KEY",
					`rows for ${qualified(target.name)} have NULL in the key (${target.key.join(", ")})`,
					{ table: qualified(target.name) },
				);
	}
}

async function* batchesOf(input: LoadRequest["input"]): AsyncGenerator<Batch, void, undefined> {
	if (input.kind === "batches") yield* input.batches;
	else for (const path of input.localPaths) yield* input.format.read(path, input.fields);
}

function constantEncoder(text: string): ColumnEncoder {
	const value = Buffer.from(text);
	return {
		width: value.length,
		variable: false,
		encode: (_column, _from, count, { bytes, view }, cursors) => {
			for (let i = 0; i < count; i++) {
				const at = cursors[i]!;
				view.setInt32(at, value.length);
				value.copy(bytes, at + 4);
				cursors[i] = at + 4 + value.length;
			}
		},
	};
}

/** Numbers the rows in the order in which they came, as int8. */
function numbering(): ColumnEncoder {
	let next = 0;
	return {
		width: 8,
		variable: false,
		encode: (_column, _from, count, { view }, cursors) => {
			for (let i = 0; i < count; i++) {
				const at = cursors[i]!;
				view.setInt32(at, 8);
				view.setInt32(at + 4, Math.floor(next / 4294967296));
				view.setInt32(at + 8, next % 4294967296);
				next++;
				cursors[i] = at + 12;
			}
		},
	};
}
