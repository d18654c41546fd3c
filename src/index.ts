import { openApp } from "./app/app.ts";
import { type DefineOptions, definePipeline, type PipelineInput } from "./config/define-pipeline.ts";
import type { CheckedPipeline } from "./config/index.ts";
import type { EventSink, RunReceipt, Source } from "./core/index.ts";

export type { App, BackfillOptions, Plan, RunInterval, RunOptions } from "./app/api.ts";
export { openApp } from "./app/app.ts";
export { type DefineOptions, definePipeline, type PipelineInput } from "./config/define-pipeline.ts";
export { type CheckedPipeline, loadPipeline } from "./config/index.ts";
export { type ObjectTable, objectSource } from "./connectors/objects/index.ts";
export { HeadraceError, HeadraceErrors, type RunEvent, type RunReceipt, type TableReceipt } from "./core/index.ts";
export { BatchBuilder, rowsOf } from "./formats/index.ts";

export interface LibraryRunOptions extends DefineOptions {
	/** A source of your own instead of the pipeline's `from`: see `objectSource`. */
	readonly source?: Source;
	readonly tables?: readonly string[];
	readonly fullRefresh?: boolean;
	readonly concurrency?: number;
	readonly memoryBytes?: number;
	readonly signal?: AbortSignal;
	readonly onEvent?: EventSink;
}

/**
 * Runs a pipeline once and says what it did. A table that fails is in the receipt, with its error; faults of the
 * configuration and of connections are thrown.
 * @throws HeadraceError, HeadraceErrors
 */
export async function run(
	pipeline: PipelineInput | CheckedPipeline,
	options: LibraryRunOptions = {},
): Promise<RunReceipt> {
	const { source, connections, directory, env, ...runOptions } = options;
	const scope = {
		...(connections === undefined ? {} : { connections }),
		...(directory === undefined ? {} : { directory }),
		...(env === undefined ? {} : { env }),
	};
	const checked = isChecked(pipeline) ? pipeline : definePipeline(pipeline, scope);
	await using app = await openApp({ directory: checked.directory, ...(source === undefined ? {} : { source }) });
	const [receipt] = await app.run(checked, runOptions);
	if (receipt === undefined) throw new Error("a run gave no receipt");
	return receipt;
}

function isChecked(pipeline: PipelineInput | CheckedPipeline): pipeline is CheckedPipeline {
	return "directory" in pipeline && Array.isArray(pipeline.tables);
}
