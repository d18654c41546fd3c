import { type CheckedPipeline, type IntervalLength, intervalBoundaries, intervalLength } from "../../config/index.ts";

/**
 * A Python function that gives a run's interval as `--interval` takes it: the last one that is over when the run is due,
 * as `lastInterval` of `src/config/intervals.ts` finds it. Airflow's own data interval may begin at another time of
 * the day, and in UTC on another day.
 */
export function intervalFunction({ schedule, timezone }: CheckedPipeline): string {
	const known = intervalBoundaries(schedule, timezone) === null ? undefined : schedule;
	return `def interval(dag_run):
    """The interval of a run: the last one that is over when it is due, as \`--interval\` takes it."""
    due = dag_run.data_interval_end or getattr(dag_run, "run_after", None) or dag_run.logical_date
${bodyOf(intervalLength(known))}`;
}

function bodyOf(length: IntervalLength): string {
	switch (length.unit) {
		case "day":
			return `    return str(due.astimezone(TIMEZONE).date() - timedelta(days=1))`;
		case "week":
			return `    day = due.astimezone(TIMEZONE).date()
    # isoweekday: Monday is 1. Weeks begin on ${["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"][length.startsOn]}.
    return str(day - timedelta(days=(day.isoweekday() - ${length.startsOn}) % 7 + 7))`;
		case "month":
			return `    day = due.astimezone(TIMEZONE).date()
    # Months begin on their day ${length.startsOn}.
    for _ in range(${length.startsOn === 1 ? "1" : `1 if day.day >= ${length.startsOn} else 2`}):
        day = day.replace(day=1) - timedelta(days=1)
    return str(day.replace(day=${length.startsOn}))`;
		case "year":
			return `    return f"{due.astimezone(TIMEZONE).year - 1:04}-01-01"`;
		case "minute":
			return `${length.count <= 60 ? minutes(length.count) : hours(length.count)}
    start = floor(floor(due) - timedelta(seconds=1))
    return start.strftime("%Y-%m-%dT%H:%M:%SZ")`;
	}
}

/** Up to an hour: counted from midnight on, so that a clock that is set forward or back changes nothing. */
function minutes(count: number): string {
	return `
    def floor(moment):
        local = moment.astimezone(TIMEZONE)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0).astimezone(timezone.utc)
        step = timedelta(minutes=${count})
        return midnight + (moment.astimezone(timezone.utc) - midnight) // step * step
`;
}

/** Longer than an hour: by the clock of the time zone. */
function hours(count: number): string {
	return `
    def floor(moment):
        local = moment.astimezone(TIMEZONE)
        passed = local.hour * 60 + local.minute
        at = passed - passed % ${count}
        begin = local.replace(hour=at // 60, minute=at % 60, second=0, microsecond=0, fold=0)
        return begin.astimezone(timezone.utc)
`;
}
