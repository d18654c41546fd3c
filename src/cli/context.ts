import type { HeadraceError } from "../core/errors.ts";
import type { Arguments } from "./arguments.ts";
import type { Output } from "./output.ts";

/** What every verb gets. */
export interface VerbContext {
	/** The project's folder (`-C`), absolute. */
	readonly directory: string;
	readonly env: NodeJS.ProcessEnv;
	readonly output: Output;
	/** Aborted by the first Ctrl-C or SIGTERM. */
	readonly signal: AbortSignal;
	/** Row values may be shown with errors, to whoever runs the command and nowhere else. */
	readonly showValues: boolean;
}

/** How a verb ended. */
export interface VerbResult {
	/** `data` of `--json`. */
	readonly data: unknown;
	/** Exit code; default 0. */
	readonly exit?: number;
	/** `errors` of `--json`; the verb has already told them to people. */
	readonly errors?: readonly HeadraceError[];
}

/** A file of `verbs/`. What it throws is told by `main`. */
export interface VerbModule {
	run(context: VerbContext, args: Arguments): Promise<VerbResult>;
}
