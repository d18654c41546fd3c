import { relative } from "node:path";
import { type CheckedPipeline, findPipeline, parseTime } from "../../config/index.ts";
import { HeadraceError } from "../../core/index.ts";
import type { TaskSummary } from "../api.ts";
import { intervalFunction } from "./interval.ts";
import { pythonText, pythonTime } from "./python.ts";
import { airflowSchedule } from "./schedule.ts";
import { taskNames, tasksCode, tasksData } from "./tasks.ts";

/** Without `start` there has to be one, however long ago: what came before is not caught up with. */
const START_DEFAULT = "2020-01-01";
/** A task waits so long for another one of the same pipeline: Airflow 3 limits the tasks of a run, not those of all. */
const WAIT = "1h";

/**
 * A DAG file: check, then extract and load of each table, then summaries, with the schedule, time zone, start, catch-up,
 * runs at once and retries of the pipeline. It works with Airflow 2.4 and later and 3, on Python 3.9 and later, and takes
 * nothing but Airflow. Names are quoted as Python, for the shell, and so that Jinja takes none for a template.
 * See https://airflow.apache.org/docs/apache-airflow/stable/core-concepts/dags.html
 * @throws E_USAGE for a pipeline that has no file: Airflow's workers could not read it
 */
export function airflowDag(pipeline: CheckedPipeline, tasks: readonly TaskSummary[]): string {
	const names = taskNames(tasks);
	const schedule = airflowSchedule(pipeline.schedule, pipeline.timezone);
	const isContinuous = pipeline.schedule?.kind === "continuous";
	const startMs = parseTime(pipeline.start ?? START_DEFAULT, pipeline.timezone).instantMs;
	const timetable =
		schedule.timetable === null
			? ""
			: `try:
    from airflow.timetables.interval import ${schedule.timetable}
except ImportError:  # Airflow 3, where it is to be moved
    from airflow.sdk import ${schedule.timetable}
`;
	return `"""The Headrace pipeline ${pipeline.name} on Airflow.

Written by \`headrace export airflow ${pipeline.name}\`, for Airflow 2.4 and later, and 3. When the pipeline changes, or the
tables that its patterns stand for, export it again rather than edit it.
"""

import os
import shlex
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2
    from airflow import DAG
try:
    from airflow.providers.standard.operators.bash import BashOperator
except ImportError:  # Airflow 2
    from airflow.operators.bash import BashOperator
${timetable}
PIPELINE = ${pythonText(wordFor(pipeline))}
TIMEZONE = ZoneInfo(${pythonText(pipeline.timezone)})
# The program, and the folder of the project, which every worker has to see.
HEADRACE = os.environ.get("HEADRACE", "headrace")
PROJECT = os.environ.get("HEADRACE_PROJECT", ${pythonText(pipeline.directory)})
${tasksData(pipeline, tasks, names)}

${intervalFunction(pipeline)}


def headrace(task_id, *words, of_interval=True):
    """A task that runs the pipeline, or a part of it. What looks like a template in a name stays as it is."""
    command = " ".join(shlex.quote(word) for word in ("-C", PROJECT, "run", PIPELINE, *words))
    command = HEADRACE + " " + command.replace("{", "{{ '{' }}")
    if of_interval:
        command += " --interval {{ interval(dag_run) }}"
    # One task of a pipeline is at work at a time; another one waits.
    return BashOperator(task_id=task_id, bash_command=command + " --wait ${WAIT}", do_xcom_push=False)


with DAG(
    dag_id=${pythonText(pipeline.name)},
    schedule=${schedule.python},
    start_date=${pythonTime(startMs)},
    catchup=${pipeline.catchup && !isContinuous ? "True" : "False"},
    max_active_runs=${isContinuous ? 1 : pipeline.maxActiveRuns},
    max_active_tasks=1,
    default_args={
        "retries": ${pipeline.retries},
        "retry_delay": timedelta(seconds=${pipeline.retryDelayMs / 1000}),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=10),
    },
    user_defined_macros={"interval": interval},
    tags=["headrace"],
) as dag:
    check = headrace("check", "--stage", "check", of_interval=False)
${tasksCode(pipeline, tasks)}`;
}

/** How the pipeline is named after `-C`: a file may be called otherwise than what is in it. */
function wordFor({ name, file, directory }: CheckedPipeline): string {
	if (file === undefined) throw new HeadraceError("E_USAGE", `${name} has no file that Airflow's workers could read`);
	try {
		if (findPipeline(directory, name) === file) return name;
	} catch {
		// There is no file of that name: it is given by its path.
	}
	return relative(directory, file);
}
