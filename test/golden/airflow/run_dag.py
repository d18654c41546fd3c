"""Loads DAG files with a stand-in of Airflow that has what version 2 or 3 offers, and prints what they made, as JSON.

    run_dag.py 2|3 <dag file>... < {"due": ["2026-01-01T00:00:00Z", ...]}
"""

import importlib.util
import json
import sys
from datetime import datetime
from types import ModuleType, SimpleNamespace

VERSION, *PATHS = sys.argv[1:]
MODULES = {
    "2": ("airflow", "airflow.operators.bash", "airflow.timetables.interval"),
    "3": ("airflow.sdk", "airflow.providers.standard.operators.bash", "airflow.timetables.interval"),
}[VERSION]
DAG_OPTIONS = {
    "dag_id", "schedule", "start_date", "catchup", "max_active_runs", "max_active_tasks", "default_args",
    "user_defined_macros", "tags",
}
made = SimpleNamespace(dag=None, tasks={}, edges=[])


class DAG:
    def __init__(self, **options):
        unknown = set(options) - DAG_OPTIONS
        assert not unknown, f"a DAG has no {unknown}"
        self.options = options
        made.dag = self

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None


class BashOperator:
    def __init__(self, *, task_id, bash_command, do_xcom_push=True):
        assert task_id not in made.tasks, f"two tasks are called {task_id}"
        assert all(char.isalnum() and char.isascii() or char in "-_." for char in task_id), task_id
        assert not bash_command.endswith((".sh", ".bash")), "Airflow would read a file of that name"
        self.task_id = task_id
        made.tasks[task_id] = bash_command

    def __rshift__(self, other):
        made.edges.append([self.task_id, other.task_id])
        return other

    def __rrshift__(self, others):
        for other in others:
            other >> self
        return self


class CronDataIntervalTimetable:
    def __init__(self, cron, timezone):
        self.shown = ["cron", cron, timezone]


class DeltaDataIntervalTimetable:
    def __init__(self, delta):
        self.shown = ["delta", delta.total_seconds()]


for name in MODULES:
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        sys.modules.setdefault(".".join(parts[:count]), ModuleType(".".join(parts[:count])))
sys.modules[MODULES[0]].DAG = DAG
sys.modules[MODULES[1]].BashOperator = BashOperator
sys.modules[MODULES[2]].CronDataIntervalTimetable = CronDataIntervalTimetable
sys.modules[MODULES[2]].DeltaDataIntervalTimetable = DeltaDataIntervalTimetable

due = [datetime.fromisoformat(text.replace("Z", "+00:00")) for text in json.load(sys.stdin)["due"]]
# Started by hand, Airflow 3 knows only when, and Airflow 2 calls that the logical date.
by_hand = {
    "2": lambda at: SimpleNamespace(data_interval_end=None, logical_date=at),
    "3": lambda at: SimpleNamespace(data_interval_end=None, logical_date=None, run_after=at),
}[VERSION]


def load(path):
    made.dag, made.tasks, made.edges = None, {}, []
    spec = importlib.util.spec_from_file_location("dag_file", path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    options = made.dag.options
    interval = options.pop("user_defined_macros")["interval"]
    scheduled = [interval(SimpleNamespace(data_interval_end=at)) for at in due]
    assert scheduled == [interval(by_hand(at)) for at in due]
    options["start_date"] = options["start_date"].isoformat()
    options["schedule"] = getattr(options["schedule"], "shown", options["schedule"])
    options["default_args"] = {
        key: value.total_seconds() if hasattr(value, "total_seconds") else value
        for key, value in options["default_args"].items()
    }
    return {"options": options, "tasks": made.tasks, "edges": made.edges, "intervals": scheduled}


print(json.dumps([load(path) for path in PATHS]))
