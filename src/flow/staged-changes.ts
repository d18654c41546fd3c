import { randomBytes } from "node:crypto";
import {
	type ChangesPart,
	changeColumns,
	type Destination,
	type FileFormat,
	HeadraceError,
	type PositionRow,
	type StagedEntry,
} from "../core/index.ts";
import type { FlushPart } from "./change-flush.ts";
import { CHANGES_STREAM } from "./change-state.ts";
import { isRetained } from "./clean-staging.ts";
import { unbalanced } from "./outcome.ts";
import type { StagedContext } from "./stage.ts";
import { type FileForm, numberedForm, writeFiles } from "./staged-files.ts";
import { epochOfPath, filesPrefix, streamPrefix } from "./staged-paths.ts";
import type { FlowContext } from "./task.ts";

/** Tables whose changes become files at once: each waits for the store more than it works. */
const TABLES_MAX = 4;

/** A destination of staged files, with what makes them. */
export interface ChangesStaging {
	readonly context: Pick<StagedContext, "pipeline" | "runId" | "staging" | "bufferBytesMax" | "onEvent">;
	readonly format: FileFormat;
	readonly destination: Destination & Required<Pick<Destination, "fileFields">>;
}

/** Null when the destination takes changes as batches. */
export function changesStaging(context: FlowContext): ChangesStaging | null {
	const { destination, staging, format } = context;
	if (destination.accepts.batches) return null;
	if (staging === null || format === null || !readsFiles(destination))
		throw new HeadraceError("E_INTERNAL", "changes for a destination of staged files, without a staging");
	return { context: { ...context, staging }, format, destination };
}

function readsFiles(destination: Destination): destination is ChangesStaging["destination"] {
	return destination.fileFields !== undefined;
}

/**
 * The parts of one request with their rows in files, under the load id of each part. They have no manifest: what they hold
 * is in the source's log until the destination has committed it, and a run that is killed reads it from there again. Rows
 * that went through files are no longer in memory.
 */
export async function stageChanges(
	stage: ChangesStaging,
	row: PositionRow,
	parts: readonly { readonly of: FlushPart; readonly part: ChangesPart }[],
): Promise<ChangesPart[]> {
	const staged = new Array<ChangesPart>(parts.length);
	// Parts of one table number their changes one after the other.
	const queue = [...Map.groupBy(parts.entries(), ([, { of }]) => of.task.stream).values()];
	const lanes = Math.min(TABLES_MAX, queue.length);
	const work = async () => {
		try {
			for (let table = queue.shift(); table !== undefined; table = queue.shift())
				for (const [index, { of, part }] of table) {
					const { input, rows } = await stagePart(stage, row, part, lanes);
					if (rows !== of.rowsGiven) throw unbalanced("read", of.rowsGiven, "staged", rows);
					staged[index] = { ...part, input };
				}
		} catch (error) {
			queue.length = 0;
			throw error;
		}
	};
	const failed = (await Promise.allSettled(Array.from({ length: lanes }, work))).find(
		(one) => one.status === "rejected",
	);
	if (failed !== undefined) throw failed.reason;
	return staged;
}

async function stagePart(
	{ context, format, destination }: ChangesStaging,
	{ epoch }: PositionRow,
	part: ChangesPart,
	lanes: number,
): Promise<{ readonly input: ChangesPart["input"]; readonly rows: number }> {
	if (part.input.kind !== "batches") throw new HeadraceError("E_INTERNAL", "changes are staged once only");
	const { staging, pipeline, bufferBytesMax } = context;
	const { fields, stored, nullText } = formOf(part, destination);
	const files = await writeFiles({
		staging,
		format,
		form: { fields, stored, nullText },
		batches: part.input.batches,
		prefix: filesPrefix(pipeline, CHANGES_STREAM, epoch, part.loadId),
		bufferBytesMax: Math.max(1, Math.floor(bufferBytesMax / (2 * lanes))),
	});
	return {
		input: { kind: "files", fields: stored, format, localPaths: [], remote: { staging, files, nullText } },
		rows: files.reduce((sum, file) => sum + file.rows, 0),
	};
}

/** A delete need not tell more than its key, whatever the table's columns want. */
function formOf(part: ChangesPart, destination: ChangesStaging["destination"]): Required<FileForm> {
	const columns = changeColumns(part, (type) => destination.mapType(type).destinationType);
	const fields = columns.map(({ name, type, nullable }) => ({ name, type, nullable }));
	return numberedForm(fields, destination.fileFields({ ...part.target, columns }), randomBytes(4).toString("hex"));
}

/**
 * Removes the files of changes that are committed, and those of runs that were killed: of this epoch and earlier ones.
 * What stays is removed with the next.
 */
export async function cleanChanges({ context }: ChangesStaging, { epoch }: PositionRow): Promise<void> {
	const { staging, pipeline, runId } = context;
	try {
		const entries = await staging.list(streamPrefix(pipeline, CHANGES_STREAM));
		const isOver = (entry: StagedEntry) =>
			(epochOfPath(entry.path) ?? Number.POSITIVE_INFINITY) <= epoch && !isRetained(staging, entry);
		await staging.remove(entries.filter(isOver).map(({ path }) => path));
	} catch (error) {
		if (!(error instanceof HeadraceError)) throw error;
		const message = `staged files of changes could not be removed (${error.code} ${error.message}): ${error.hint}`;
		context.onEvent({ type: "notice", runId, level: "warn", message });
	}
}
