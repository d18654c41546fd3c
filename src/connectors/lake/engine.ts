import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ENGINE_MEMORY_BYTES_DEFAULT, Engine, type EngineConnection } from "../../engine/index.ts";

/** What a lake may use of this machine. */
export interface LakeResources {
	/** Bound on the embedded engine; batches come on top. */
	readonly engineMemoryBytes?: number;
	/** Where the engine may spill. */
	readonly temporaryDirectory?: string;
	/** Folders in which the store has files on this machine's disk: those that it writes, and copies of those it reads. */
	readonly localDirectories: readonly string[];
}

let engines = 0;

export function memoryOf({ engineMemoryBytes }: LakeResources): number {
	return engineMemoryBytes ?? ENGINE_MEMORY_BYTES_DEFAULT;
}

/** A folder for spilled pages that no other engine uses: DuckDB's names of them repeat. */
export function spillFolder({ temporaryDirectory }: LakeResources): { readonly temporaryDirectory?: string } {
	if (temporaryDirectory === undefined) return {};
	return { temporaryDirectory: join(temporaryDirectory, `lake-${process.pid}-${++engines}`) };
}

/** An engine that sees the lake's files on this machine and nothing else. */
export async function openEngine(resources: LakeResources): Promise<Engine> {
	const { temporaryDirectory } = spillFolder(resources);
	if (temporaryDirectory !== undefined) await mkdir(dirname(temporaryDirectory), { recursive: true, mode: 0o700 });
	return Engine.open({
		memoryBytes: memoryOf(resources),
		allowedDirectories: resources.localDirectories,
		...(temporaryDirectory === undefined ? {} : { tempDirectory: temporaryDirectory }),
	});
}

/** Work by such an engine. */
export async function withEngine<Result>(
	resources: LakeResources,
	work: (connection: EngineConnection, engine: Engine) => Promise<Result>,
): Promise<Result> {
	await using engine = await openEngine(resources);
	await using connection = await engine.connect();
	return await work(connection, engine);
}
