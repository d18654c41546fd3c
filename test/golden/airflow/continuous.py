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

PIPELINE = "shop"
TIMEZONE = ZoneInfo("UTC")
# The program, and the folder of the project, which every worker has to see.
HEADRACE = os.environ.get("HEADRACE", "headrace")
PROJECT = os.environ.get("HEADRACE_PROJECT", "/srv/etl")

# Tables that follow the change log, all together.
FOLLOWED = [
    ("prod_accounts", "prod.accounts"),
]


def interval(dag_run):
    """The interval of a run: the last one that is over when it is due, as `--interval` takes it."""
    due = dag_run.data_interval_end or getattr(dag_run, "run_after", None) or dag_run.logical_date
    return str(due.astimezone(TIMEZONE).date() - timedelta(days=1))


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
    schedule="@continuous",
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
    done = {}
    changes = headrace("changes", *(word for _, table in FOLLOWED for word in ("--table", table)), of_interval=False)
    check >> changes
    for name, _ in FOLLOWED:
        done[name] = changes
