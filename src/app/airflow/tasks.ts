import type { CheckedPipeline } from "../../config/index.ts";
import type { TaskSummary } from "../api.ts";
import { pythonText } from "./python.ts";

/** Task ids may have 250 characters, with what stands before the table's name. */
const NAME_LENGTH_MAX = 200;

/** Letters, digits, - and _, which Airflow allows in the id of a task; two tables never share one. */
export function taskNames(tasks: readonly TaskSummary[]): ReadonlyMap<TaskSummary, string> {
	const taken = new Set<string>();
	return new Map(
		tasks.map((task) => {
			const base = task.task.replace(/[^A-Za-z0-9_-]+/g, "_").slice(0, NAME_LENGTH_MAX);
			let name = base;
			for (let count = 2; taken.has(name); count++) name = `${base}_${count}`;
			taken.add(name);
			return [task, name];
		}),
	);
}

/** Whether something is to be done once before, or after, all tables: then their stages can't be run one by one. */
function isWhole({ hooks }: CheckedPipeline): boolean {
	return hooks.before.length > 0 || hooks.after.length > 0;
}

function partsOf(tasks: readonly TaskSummary[]) {
	return {
		staged: tasks.filter(({ mode }) => mode !== "cdc" && mode !== "summary"),
		followed: tasks.filter(({ mode }) => mode === "cdc"),
		summaries: tasks.filter(({ mode }) => mode === "summary"),
	};
}

/** The tables and summaries, as Python lists. */
export function tasksData(
	pipeline: CheckedPipeline,
	tasks: readonly TaskSummary[],
	names: ReadonlyMap<TaskSummary, string>,
): string {
	if (isWhole(pipeline)) return "";
	const { staged, followed, summaries } = partsOf(tasks);
	const pair = (task: TaskSummary) => `    (${pythonText(names.get(task)!)}, ${pythonText(task.pattern)}),`;
	const byTask = new Map(tasks.map((task) => [task.task, names.get(task)!]));
	const list = (comment: string, name: string, lines: readonly string[]) =>
		lines.length === 0 ? "" : `\n# ${comment}\n${name} = [\n${lines.join("\n")}\n]\n`;
	return [
		list("Tables: the name of their tasks, and what --table takes.", "TABLES", staged.map(pair)),
		list("Tables that follow the change log, all together.", "FOLLOWED", followed.map(pair)),
		list(
			"Summaries, with what they are built from.",
			"SUMMARIES",
			summaries.map((task) => {
				const needs = (task.needs ?? []).flatMap((need) => byTask.get(need) ?? []);
				return `    (${pythonText(names.get(task)!)}, ${pythonText(task.pattern)}, [${needs.map(pythonText).join(", ")}]),`;
			}),
		),
	].join("");
}

const TABLES = `    for name, table in TABLES:
        extract = headrace("extract_" + name, "--table", table, "--stage", "extract")
        done[name] = headrace("load_" + name, "--table", table, "--stage", "load")
        check >> extract >> done[name]
`;
/** They have no stages: whole transactions over all of them are read and applied in one go. */
const FOLLOWED = `    changes = headrace("changes", *(word for _, table in FOLLOWED for word in ("--table", table)), of_interval=False)
    check >> changes
    for name, _ in FOLLOWED:
        done[name] = changes
`;
const SUMMARIES = `    for name, summary, needs in SUMMARIES:
        done[name] = headrace("summary_" + name, "--table", summary)
        ([done[need] for need in needs] or [check]) >> done[name]
`;

/** The tasks and their order, within the DAG. */
export function tasksCode(pipeline: CheckedPipeline, tasks: readonly TaskSummary[]): string {
	const { staged, followed, summaries } = partsOf(tasks);
	if (isWhole(pipeline))
		return followed.length > 0
			? '    # Its hooks stand before and after all tables, and those that follow the change log have no stages.\n    check >> headrace("run")\n'
			: `    # Its hooks stand before and after all tables.
    check >> headrace("extract", "--stage", "extract") >> headrace("load", "--stage", "load")
`;
	return [
		"    done = {}\n",
		staged.length === 0 ? "" : TABLES,
		followed.length === 0 ? "" : FOLLOWED,
		summaries.length === 0 ? "" : SUMMARIES,
	].join("");
}
