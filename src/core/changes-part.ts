import type { ApplyRequest, ChangesPart, LoadRequest } from "./destination.ts";
import { HeadraceError } from "./errors.ts";
import { qualified, type TargetTable } from "./table.ts";

/** A part as a load of its table: what both have in common is done by the same code. */
export function loadOfPart(request: ApplyRequest, part: ChangesPart): LoadRequest {
	const { pipeline, stream, epoch, seq, fromPosition, toPosition, bufferBytesMax, runId, signal } = request;
	const { loadId, target, write, schemaVersion, schema, input } = part;
	return {
		pipeline,
		stream,
		loadId,
		epoch,
		seq,
		fromPosition,
		toPosition,
		schemaVersion,
		target,
		write,
		input,
		bufferBytesMax,
		...(schema === undefined ? {} : { schema }),
		...(runId === undefined ? {} : { runId }),
		...(signal === undefined ? {} : { signal }),
	};
}

/** @throws E_KEY_REQUIRED when rows are kept by key and the table has none */
export function requireKey({ target, write }: Pick<ChangesPart, "target" | "write">): void {
	if (target.key.length > 0 || write === "append") return;
	const table = qualified(target.name);
	throw new HeadraceError("E_KEY_REQUIRED", `${write} into ${table} needs a key`, { table });
}

/** For a row that should have one base in the destination and has several. */
export function repeatedKey({ name, key }: Pick<TargetTable, "name" | "key">): HeadraceError {
	const table = qualified(name);
	return new HeadraceError(
		"E_DUPLICATE_KEY",
		`the key (${key.join(", ")}) of ${table} is not unique in the destination`,
		{
			table,
			hint: "Remove the repeated rows there, or read the table anew: `headrace resync <pipeline> --table <table>`.",
		},
	);
}

/** For changes that tell only some columns, where the table does not have the others. */
export function baseMissing({ name }: Pick<TargetTable, "name">, count: number): HeadraceError {
	const table = qualified(name);
	return new HeadraceError(
		"E_BASE_MISSING",
		`${count} ${count === 1 ? "change of a row" : "changes of rows"} of ${table}, which tell only some columns, find no row that has the others`,
		{ table },
	);
}
