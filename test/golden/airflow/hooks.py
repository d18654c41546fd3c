"""The Headrace pipeline shop on Airflow.

Written by `headrace export airflow shop`, for Airflow 2.4 and later, and 3. When the pipeline changes, or the
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
try:
    from airflow.timetables.interval import DeltaDataIntervalTimetable
except ImportError:  # Airflow 3, where it is to be moved
    from airflow.sdk import DeltaDataIntervalTimetable

PIPELINE = "shop"
TIMEZONE = ZoneInfo("UTC")
# The program, and the folder of the project, which every worker has to see.
HEADRACE = os.environ.get("HEADRACE", "headrace")
PROJECT = os.environ.get("HEADRACE_PROJECT", "/srv/etl")


def interval(dag_run):
    """The interval of a run: the last one that is over when it is due, as `--interval` takes it."""
    due = dag_run.data_interval_end or getattr(dag_run, "run_after", None) or dag_run.logical_date

    def floor(moment):
        local = moment.astimezone(TIMEZONE)
        passed = local.hour * 60 + local.minute
        at = passed - passed % 90
        begin = local.replace(hour=at // 60, minute=at % 60, second=0, microsecond=0, fold=0)
        return begin.astimezone(timezone.utc)

    start = floor(floor(due) - timedelta(seconds=1))
    return start.strftime("%Y-%m-%dT%H:%M:%SZ")


def headrace(task_id, *words, of_interval=True):
    """A task that runs the pipeline, or a part of it. What looks like a template in a name stays as it is."""
    command = " ".join(shlex.quote(word) for word in ("-C", PROJECT, "run", PIPELINE, *words))
    command = HEADRACE + " " + command.replace("{", "{{ '{' }}")
    if of_interval:
        command += " --interval {{ interval(dag_run) }}"
    # One task of a pipeline is at work at a time; another one waits.
    return BashOperator(task_id=task_id, bash_command=command + " --wait 1h", do_xcom_push=False)


with DAG(
    dag_id="shop",
    schedule=DeltaDataIntervalTimetable(timedelta(seconds=5400)),
    start_date=datetime(2020, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    max_active_tasks=1,
    default_args={
        "retries": 2,
        "retry_delay": timedelta(seconds=10),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=10),
    },
    user_defined_macros={"interval": interval},
    tags=["headrace"],
) as dag:
    check = headrace("check", "--stage", "check", of_interval=False)
    # Its hooks stand before and after all tables.
    check >> headrace("extract", "--stage", "extract") >> headrace("load", "--stage", "load")
