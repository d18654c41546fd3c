import { expectedRow } from "../../core/commit-record.ts";
import type { LoadRequest, PositionExpected, PositionRow } from "../../core/destination.ts";
import { HeadraceError } from "../../core/errors.ts";
import { qualified } from "../../core/table.ts";
import { valueText } from "../../formats/value-text.ts";
import { stopped } from "./readers.ts";
import type { Row } from "./values.ts";
import { type MemoryWarehouse, streamId } from "./warehouse.ts";

export type RowsIncoming = Pick<LoadRequest, "input" | "target" | "signal">;

/** The compare of the compare-and-set. @throws E_FENCED */
export function checkPosition(warehouse: MemoryWarehouse, request: PositionExpected): PositionRow {
	return expectedRow(warehouse.state.positions.get(streamId(request.pipeline, request.stream)), request);
}

/** All incoming rows in the order of the target's columns. Nothing is written before the last of them came. */
export async function rowsOf(request: RowsIncoming): Promise<Row[]> {
	const { input, target, signal } = request;
	const places = target.columns.map((column) => {
		const index = input.fields.findIndex((field) => field.name === column.name);
		if (index < 0) throw new HeadraceError("E_INTERNAL", `the rows for ${qualified(target.name)} lack ${column.name}`);
		return index;
	});
	const rows: Row[] = [];
	const streams =
		input.kind === "batches" ? [input.batches] : input.localPaths.map((path) => input.format.read(path, input.fields));
	for (const batches of streams)
		for await (const batch of batches) {
			try {
				if (signal?.aborted === true) throw stopped();
				for (let row = 0; row < batch.rowCount; row++)
					rows.push(places.map((index) => valueText(batch.columns[index]!, row)));
			} finally {
				batch.release();
			}
		}
	if (signal?.aborted === true) throw stopped();
	return rows;
}
