import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { CheckedPipeline, Connection } from "../../config/index.ts";
import { type Finding, HeadraceError, type Port } from "../../core/index.ts";
import { openDestination, openSource, openStaging, type Resources, stagingDirectoryOf } from "../registry.ts";

/** Enough for a look. */
const MEMORY_BYTES = 64 << 20;

/** What a connection needs that is opened for a look. */
export async function connectionResources(directory: string): Promise<Resources> {
	const temporaryDirectory = join(directory, ".headrace", "tmp");
	await mkdir(temporaryDirectory, { recursive: true, mode: 0o700 });
	return {
		engineMemoryBytes: MEMORY_BYTES,
		temporaryDirectory,
		stagingDirectory: join(directory, ".headrace", "staging"),
	};
}

/** How pipelines use a connection. */
export type ConnectionRole = "source" | "staging" | "destination";

/** The pipelines that use a connection of connections.yaml, by its name. */
export function usesOf(
	pipelines: readonly CheckedPipeline[],
	name: string,
): { readonly pipeline: CheckedPipeline; readonly role: ConnectionRole }[] {
	return pipelines.flatMap((pipeline) => {
		const ends = { source: pipeline.from, staging: pipeline.staging, destination: pipeline.to };
		return (Object.keys(ends) as ConnectionRole[])
			.filter((role) => ends[role]?.name === name)
			.map((role) => ({ pipeline, role }));
	});
}

/**
 * Connects and looks at rights and settings, in each role that the connection has, or as a source when it has none.
 * @throws E_CONNECT, E_LOGIN, E_TLS, E_RIGHTS
 */
export async function testConnection(
	directory: string,
	connection: Connection,
	uses: ReturnType<typeof usesOf>,
): Promise<readonly Finding[]> {
	const resources = await connectionResources(directory);
	const roles = new Map(uses.map((use) => [use.role, use.pipeline]));
	const open: Record<ConnectionRole, (pipeline: CheckedPipeline | undefined) => Promise<Port>> = {
		source: () => openSource(connection, resources),
		staging: (pipeline) => openStaging(pipeline!, resources),
		// With the rights that its pipeline's runs have: a file that one of them holds is shared with them.
		destination: (pipeline) =>
			openDestination(
				connection,
				pipeline === undefined ? resources : { ...resources, stagingDirectory: stagingDirectoryOf(pipeline) },
				pipeline?.staging,
			),
	};
	if (roles.size > 0) {
		const findings: Finding[] = [];
		for (const [role, pipeline] of roles) findings.push(...(await looked(open[role](pipeline))));
		return findings;
	}
	try {
		return await looked(open.source(undefined));
	} catch (error) {
		// Warehouses are no sources.
		if (!(error instanceof HeadraceError) || error.code !== "E_NOT_BUILT_IN") throw error;
		return looked(open.destination(undefined));
	}
}

async function looked(opening: Promise<Port>): Promise<readonly Finding[]> {
	await using port = await opening;
	return await port.check();
}
