/** Changes of a log into a database of a real PostgreSQL server. */
import { PIPELINE, positionAt } from "../../src/conformance/destination-fixture.ts";
import { batchesOf, type TextRow } from "../../src/conformance/index.ts";
import {
	type ApplyResult,
	type ChangesPart,
	changeColumns,
	HISTORY_COLUMNS,
	type PositionRow,
} from "../../src/core/index.ts";
import type { LoadOptions, Loads } from "./postgres-loads.ts";

/** A part; `rows` have the input's fields: those of the target, and what the write and `partial` add. */
export interface Part
	extends Pick<LoadOptions, "columns" | "key" | "table" | "column">,
		Partial<Pick<ChangesPart, "write">> {
	readonly rows: readonly TextRow[];
	readonly partial?: boolean;
	readonly overlaps?: boolean;
	readonly truncatedAt?: string;
}

export const HISTORY = `, ${HISTORY_COLUMNS.validFrom} timestamptz, ${HISTORY_COLUMNS.validTo} timestamptz, ${HISTORY_COLUMNS.operation} text, ${HISTORY_COLUMNS.position} text`;

/** A stream of changes into the database of `loads`. */
export class Changes {
	readonly #loads: Loads;
	#row: PositionRow | undefined;

	constructor(loads: Loads) {
		this.#loads = loads;
	}

	async apply(...parts: readonly Part[]): Promise<ApplyResult> {
		const { destination } = this.#loads;
		this.#row ??= (await destination.takeOver(PIPELINE, ["changes"])).get("changes")!;
		const { epoch, seq, position } = this.#row;
		const toPosition = positionAt(seq + 1);
		const result = await destination.changes!.apply({
			pipeline: PIPELINE,
			stream: "changes",
			loadId: `load ${seq}`,
			epoch,
			seq,
			fromPosition: position,
			toPosition,
			schemaVersion: "1",
			bufferBytesMax: 16 << 20,
			parts: parts.map((part, index): ChangesPart => {
				const { rows, partial = false, write = "merge", overlaps, truncatedAt, ...shape } = part;
				const columns = (shape.columns ?? "id int64, name text") + (write === "history" ? HISTORY : "");
				const target = this.#loads.target({ ...shape, columns });
				const fields = changeColumns({ target, write, partial }, (type) => destination.mapType(type).destinationType);
				return {
					loadId: `load ${seq} part ${index}`,
					target,
					write,
					schemaVersion: "1",
					input: { kind: "batches", fields, batches: batchesOf(fields, rows) },
					partial,
					...(overlaps === undefined ? {} : { overlaps }),
					...(truncatedAt === undefined ? {} : { truncatedAt }),
				};
			}),
		});
		this.#row = { ...this.#row, seq: seq + 1, position: toPosition };
		return result;
	}
}
