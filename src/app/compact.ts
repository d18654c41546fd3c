import { type CheckedPipeline, matchesPattern, parsePattern } from "../config/index.ts";
import { type CompactedTable, type Destination, HeadraceError, type Source } from "../core/index.ts";
import type { ProjectState } from "../state/index.ts";
import type { CompactOptions } from "./api.ts";
import { withLease } from "./lease.ts";
import { openSession } from "./session.ts";

/** Bytes that a file is to have: Athena reads files of 128 MB to 512 MB best. */
const TARGET_BYTES_DEFAULT = 256 << 20;

/**
 * Puts small files of the tables that a pipeline loads into together. Where loads can go on meanwhile it takes no lease.
 * @throws E_UNSUPPORTED when the destination has no files to put together, E_UNKNOWN_TABLE, E_BUSY when a run is in the
 *   way
 */
export async function compactPipeline(
	project: { readonly state: ProjectState; readonly leaseMs: number; readonly source?: Source | undefined },
	pipeline: CheckedPipeline,
	options: CompactOptions,
): Promise<CompactedTable[]> {
	await using session = await openSession(pipeline, options, project.source);
	const { destination } = session;
	if (destination.compact === undefined)
		throw new HeadraceError("E_UNSUPPORTED", `${pipeline.to.type} has no files to put together`, {
			pipeline: pipeline.name,
			hint: "compact is for pipelines into a lake, and for archives of changes in a folder.",
		});
	if (destination.compactsAlone !== true || options.dryRun === true) return compactBy(destination, pipeline, options);
	const { signal } = options;
	return withLease(project, pipeline, signal === undefined ? {} : { signal }, (held) =>
		compactBy(destination, pipeline, { ...options, signal: held.signal }),
	);
}

async function compactBy(
	destination: Pick<Destination, "compact">,
	pipeline: CheckedPipeline,
	options: CompactOptions,
): Promise<CompactedTable[]> {
	const patterns = (options.tables ?? []).map(parsePattern);
	const compacted = await destination.compact!({
		pipeline: pipeline.name,
		targetBytes: options.targetBytes ?? TARGET_BYTES_DEFAULT,
		...(patterns.length === 0 ? {} : { takes: (table) => patterns.some((pattern) => matchesPattern(pattern, table)) }),
		...(options.dryRun === undefined ? {} : { dryRun: options.dryRun }),
		...(options.signal === undefined ? {} : { signal: options.signal }),
	});
	if (compacted.length === 0 && patterns.length > 0)
		throw new HeadraceError(
			"E_UNKNOWN_TABLE",
			`${pipeline.name} has loaded into no such table: ${options.tables!.join(", ")}`,
			{
				pipeline: pipeline.name,
				hint: "Name it as it is in the destination: --table shop.orders.",
			},
		);
	return compacted;
}
