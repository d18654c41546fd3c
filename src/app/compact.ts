import { type CheckedPipeline, matchesPattern, parsePattern } from "../config/index.ts";
import { type CompactedTable, HeadraceError, type Source } from "../core/index.ts";
import type { CompactOptions } from "./api.ts";
import { openSession } from "./session.ts";

/** Bytes that a file is to have: Athena reads files of 128 MB to 512 MB best. */
const TARGET_BYTES_DEFAULT = 256 << 20;

/**
 * Puts small files of the tables that a pipeline loads into together. It takes no lease: loads go on meanwhile.
 * @throws E_UNSUPPORTED when the destination has no files to put together, E_UNKNOWN_TABLE
 */
export async function compactPipeline(
	pipeline: CheckedPipeline,
	options: CompactOptions,
	custom?: Source,
): Promise<CompactedTable[]> {
	await using session = await openSession(pipeline, options, custom);
	const { destination } = session;
	if (destination.compact === undefined)
		throw new HeadraceError("E_UNSUPPORTED", `${pipeline.to.type} has no files to put together`, {
			pipeline: pipeline.name,
			hint: "compact is for pipelines into a lake.",
		});
	const patterns = (options.tables ?? []).map(parsePattern);
	const compacted = await destination.compact({
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
