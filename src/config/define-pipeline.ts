import { resolve } from "node:path";
import type { z } from "zod";
import { checkPipeline } from "./check.ts";
import { connectionsOf } from "./connections.ts";
import type { pipelineOptions } from "./options.ts";
import type { CheckedPipeline } from "./pipeline.ts";
import { NO_POSITIONS } from "./positions.ts";
import type { Env } from "./references.ts";
import { checkTemplate } from "./template.ts";

/** A pipeline as its file has it; see the configuration reference. */
export type PipelineInput = z.input<typeof pipelineOptions>;

/** A connection as connections.yaml has it: an address, or a map with `type`. */
export type ConnectionInput = string | ({ readonly type: string } & Readonly<Record<string, unknown>>);

export interface DefineOptions {
	/** What `from`, `to` and `staging` may name. */
	readonly connections?: Readonly<Record<string, ConnectionInput>>;
	/** Relative paths start here; default the working directory. */
	readonly directory?: string;
	/** Where `${env:X}` gets its values; default the process's environment. */
	readonly env?: Env;
}

/**
 * A pipeline made in TypeScript: the same options, checks and defaults as a file's.
 * @throws HeadraceErrors with every fault
 */
export function definePipeline(input: PipelineInput, options: DefineOptions = {}): CheckedPipeline {
	const scope = { env: options.env ?? process.env, directory: resolve(options.directory ?? ".") };
	return checkPipeline({
		value: withoutUndefined(input),
		positions: NO_POSITIONS,
		faults: [],
		name: "pipeline",
		scope,
		connections: () => connectionsOf(withoutUndefined(options.connections ?? {}) as Record<string, unknown>, scope),
		checkTemplate,
	});
}

/** In TypeScript `{ cursor: undefined }` means no cursor. */
function withoutUndefined(value: unknown): unknown {
	if (Array.isArray(value)) return value.map(withoutUndefined);
	if (typeof value !== "object" || value === null) return value;
	const entries = Object.entries(value).filter(([, each]) => each !== undefined);
	return Object.fromEntries(entries.map(([key, each]) => [key, withoutUndefined(each)]));
}
