import type { Schedule } from "../../config/index.ts";
import { pythonText } from "./python.ts";

export interface AirflowSchedule {
	/** Name of the timetable that has to be imported; null when none has to be. */
	readonly timetable: "CronDataIntervalTimetable" | "DeltaDataIntervalTimetable" | null;
	/** Value of `schedule`, as Python. */
	readonly python: string;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/**
 * A schedule as Airflow has it. Timetables of data intervals are named, not left to be guessed from a text: Airflow 3
 * makes runs without an interval of a text, Airflow 2 with one.
 * See https://airflow.apache.org/docs/apache-airflow/stable/authoring-and-scheduling/timetable.html
 */
export function airflowSchedule(schedule: Schedule | undefined, timezone: string): AirflowSchedule {
	if (schedule === undefined) return { timetable: null, python: "None" };
	if (schedule.kind === "continuous") return { timetable: null, python: pythonText("@continuous") };
	if (schedule.kind === "cron") return cronTimetable(schedule.fields.join(" "), timezone);
	const cron = cronOfEvery(schedule.everyMs);
	if (cron !== null) return cronTimetable(cron, timezone);
	const python = `DeltaDataIntervalTimetable(timedelta(seconds=${schedule.everyMs / 1000}))`;
	return { timetable: "DeltaDataIntervalTimetable", python };
}

function cronTimetable(cron: string, timezone: string): AirflowSchedule {
	const python = `CronDataIntervalTimetable(${pythonText(cron)}, timezone=${pythonText(timezone)})`;
	return { timetable: "CronDataIntervalTimetable", python };
}

/** The same times as a cron expression, which the clock of the time zone moves; null when there is none. */
function cronOfEvery(everyMs: number): string | null {
	if (everyMs === DAY_MS) return "0 0 * * *";
	if (everyMs === 7 * DAY_MS) return "0 0 * * 1";
	if (everyMs % HOUR_MS === 0 && DAY_MS % everyMs === 0) {
		const hours = everyMs / HOUR_MS;
		return hours === 1 ? "0 * * * *" : `0 */${hours} * * *`;
	}
	if (everyMs % MINUTE_MS !== 0 || HOUR_MS % everyMs !== 0) return null;
	const minutes = everyMs / MINUTE_MS;
	return minutes === 1 ? "* * * * *" : `*/${minutes} * * * *`;
}
