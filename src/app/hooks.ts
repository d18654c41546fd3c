import {
	type CheckedPipeline,
	type Hook,
	type Hooks,
	renderQuery,
	TABLE_VARIABLE,
	type TemplateValues,
} from "../config/index.ts";
import { type Destination, EXIT, HeadraceError, type Source, type TableName, toHeadraceErrors } from "../core/index.ts";
import { placeText } from "./place-text.ts";

export interface HookScope {
	readonly pipeline: CheckedPipeline;
	readonly source: Source;
	readonly destination: Destination;
	readonly values: TemplateValues;
	/** Of a table's hooks: where it lands. */
	readonly into?: TableName;
}

/** Faults of hooks that can be told before a run: a side without SQL, a template that can't be filled in. */
export async function hookFaults(hooks: Hooks, scope: HookScope): Promise<HeadraceError[]> {
	const faults: HeadraceError[] = [];
	for (const hook of [...hooks.before, ...hooks.after]) {
		const { type } = hook.on === "source" ? scope.pipeline.from : scope.pipeline.to;
		const runs = hook.on === "source" ? scope.source.execute : scope.destination.sql;
		if (runs === undefined) faults.push(new HeadraceError("E_UNSUPPORTED", `a hook can't run in ${type}`, hook.place));
		else await statementsOf(hook, scope).catch((error: unknown) => faults.push(...toHeadraceErrors(error)));
	}
	return faults;
}

/**
 * Runs hooks one after another, the statements of each in one transaction. `what` is for messages: `before the run`.
 * @throws the engine's error, which names the hook and its place
 */
export async function runHooks(
	hooks: readonly Hook[],
	scope: HookScope,
	what: string,
	signal: AbortSignal,
): Promise<void> {
	for (const hook of hooks) {
		signal.throwIfAborted();
		const statements = await statementsOf(hook, scope);
		try {
			if (hook.on === "source") await scope.source.execute?.(statements, signal);
			else await scope.destination.sql?.execute(statements, signal);
		} catch (thrown) {
			const [error] = toHeadraceErrors(thrown);
			if (error === undefined || error.code === "E_STOPPED") throw thrown;
			const place = placeText(hook.place, scope.pipeline.directory);
			// A name that it does not find is no fault of the configuration: something may have run before it.
			const own = hook.on === "source" ? "E_SOURCE" : "E_DESTINATION";
			throw new HeadraceError(
				error.exit === EXIT.usage ? own : error.code,
				`the hook ${what}${place} failed: ${error.message}`,
				{
					...hook.place,
					hint: error.reaction === "retry" ? error.hint : "Mend its statement, or what it needs.",
					...(error.values === undefined ? {} : { values: error.values }),
					cause: error,
				},
			);
		}
	}
}

async function statementsOf(hook: Hook, scope: HookScope): Promise<string[]> {
	const { source, destination, into } = scope;
	const { sql } = destination;
	const dialect =
		hook.on === "source" || sql === undefined
			? { quoteString: source.quoteString, backslashEscapes: source.backslashEscapes }
			: { quoteString: sql.quoteLiteral, backslashEscapes: sql.backslashEscapes === true };
	const relations =
		hook.on === "destination" && into !== undefined && sql !== undefined
			? { [TABLE_VARIABLE]: sql.relation(into) }
			: {};
	const values = { ...scope.values, relations };
	return Promise.all(hook.statements.map((each) => renderQuery(each.sql, values, dialect, each.place)));
}
