import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { CheckedPipeline } from "../config/index.ts";
import { type Destination, HeadraceError, type Source } from "../core/index.ts";
import type { PlanOptions } from "./api.ts";
import { followsLog } from "./change-standing.ts";
import { openDestination, openSource, type Resources, stagingDirectoryOf } from "./registry.ts";

/** Default of `--memory`. */
const MEMORY_BYTES_DEFAULT = 384 << 20;
/** The same of a pipeline that follows a log: it runs all the time, and what it gains by more is little (measured). */
const MEMORY_BYTES_FOLLOWING = 272 << 20;
/** What the runtime, the drivers and the engine take beside what is bounded, whatever the tables are (measured). */
const MEMORY_BYTES_FIXED = 192 << 20;
const MEMORY_BYTES_MIN = 64_000_000;
/** The least for the engine and batches together, however small `--memory` is. */
const MEMORY_BYTES_FREE_MIN = 48 << 20;
/** Shares of the rest: the embedded engine's; batches on their way have what is left. */
const ENGINE_SHARE = 2 / 3;

/** Both ends of a pipeline, open. */
export interface Session extends AsyncDisposable {
	readonly pipeline: CheckedPipeline;
	readonly source: Source;
	readonly destination: Destination;
	readonly resources: Resources;
	/** For all tables of the run together. */
	readonly bufferBytesMax: number;
	readonly concurrency: number;
}

/** What a session may use of this machine. @throws E_INVALID_VALUE when the memory does not suffice */
async function limitsOf(pipeline: CheckedPipeline, options: PlanOptions) {
	const follows = followsLog(pipeline);
	if (follows) (await import("../engine/index.ts")).returnFreedMemory();
	const byDefault = follows ? MEMORY_BYTES_FOLLOWING : MEMORY_BYTES_DEFAULT;
	const memoryBytes = options.memoryBytes ?? pipeline.memoryBytes ?? byDefault;
	if (memoryBytes < MEMORY_BYTES_MIN)
		throw new HeadraceError("E_INVALID_VALUE", "memory is below 64MB, which the embedded engine needs", {
			hint: "Use --memory 64MB or more.",
		});
	const temporaryDirectory = join(pipeline.directory, ".headrace", "tmp");
	await mkdir(temporaryDirectory, { recursive: true, mode: 0o700 });
	const free = Math.max(MEMORY_BYTES_FREE_MIN, memoryBytes - MEMORY_BYTES_FIXED);
	const resources = {
		engineMemoryBytes: Math.floor(free * ENGINE_SHARE),
		temporaryDirectory,
		stagingDirectory: stagingDirectoryOf(pipeline),
	};
	return { resources, bufferBytesMax: Math.floor(free * (1 - ENGINE_SHARE)) };
}

/** Opens the destination alone. */
export async function openTarget(pipeline: CheckedPipeline): Promise<Destination> {
	const { resources } = await limitsOf(pipeline, {});
	return openDestination(pipeline.to, resources, pipeline.staging);
}

export async function openSession(pipeline: CheckedPipeline, options: PlanOptions, custom?: Source): Promise<Session> {
	const { resources, bufferBytesMax } = await limitsOf(pipeline, options);
	const concurrency = options.concurrency ?? pipeline.concurrency;
	const destination = await openDestination(pipeline.to, resources, pipeline.staging);
	try {
		const source = custom ?? (await openSource(pipeline.from, resources));
		return {
			pipeline,
			source,
			destination,
			resources,
			bufferBytesMax,
			concurrency,
			async [Symbol.asyncDispose]() {
				try {
					if (custom === undefined) await source[Symbol.asyncDispose]();
				} finally {
					await destination[Symbol.asyncDispose]();
				}
			},
		};
	} catch (error) {
		await destination[Symbol.asyncDispose]();
		throw error;
	}
}

/** A source that is only asked something. */
export interface LookedSource extends AsyncDisposable {
	readonly source: Source;
}

/** Opens the source alone: for questions about its log. */
export async function lookAtSource(pipeline: CheckedPipeline, custom?: Source): Promise<LookedSource> {
	if (custom !== undefined) return { source: custom, async [Symbol.asyncDispose]() {} };
	const source = await openSource(pipeline.from, {
		engineMemoryBytes: MEMORY_BYTES_FREE_MIN,
		temporaryDirectory: join(pipeline.directory, ".headrace", "tmp"),
		stagingDirectory: stagingDirectoryOf(pipeline),
	});
	return { source, [Symbol.asyncDispose]: () => source[Symbol.asyncDispose]() };
}
