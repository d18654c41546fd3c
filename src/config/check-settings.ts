import { type ErrorPlace, HeadraceError } from "../core/errors.ts";
import { collecting } from "./connections.ts";
import { parseDuration } from "./durations.ts";
import { parseTime } from "./intervals.ts";
import { invalidValue } from "./issues.ts";
import { DEFAULTS, type PipelineOptions } from "./options.ts";
import { splitDotted } from "./patterns.ts";
import type { CheckedPipeline, DataCheck } from "./pipeline.ts";
import type { Path, Positions } from "./positions.ts";
import { parseSchedule } from "./schedules.ts";
import { parseCount, parseSize } from "./sizes.ts";
import { didYouMean } from "./suggest.ts";
import { listOf } from "./table-options.ts";
import { isTimezone, timezones } from "./zones.ts";

/** The pipeline's own settings: everything that is about no single table or connection. */
export type Settings = Pick<
	CheckedPipeline,
	| "name"
	| "schedule"
	| "timezone"
	| "start"
	| "catchup"
	| "maxActiveRuns"
	| "concurrency"
	| "memoryBytes"
	| "retries"
	| "retryDelayMs"
	| "lateAfterMs"
	| "params"
	| "schemaChanges"
	| "flush"
	| "checks"
>;

interface SettingsInput {
	readonly name: string;
	readonly positions: Positions;
}

/** A name that can be part of a file's name on every system. */
const NAME_PATTERN = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$/;

/** Fills the defaults in; what is wrong goes on the list of faults. */
export function checkSettings(
	value: Partial<PipelineOptions>,
	{ name: fileName, positions }: SettingsInput,
	faults: HeadraceError[],
): Settings {
	const at = <Result>(path: Path, work: () => Result): Result | undefined =>
		collecting(faults, () => placed(positions.value(path), work));
	const name = value.pipeline ?? fileName;
	if (!NAME_PATTERN.test(name))
		faults.push(
			invalidValue(
				`the name ${JSON.stringify(name.slice(0, 120))} of a pipeline must begin with a letter or digit and have only letters, digits, - _ and ., at most 100`,
				value.pipeline === undefined ? positions.file : positions.value(["pipeline"]),
			),
		);
	const timezone = value.timezone ?? DEFAULTS.timezone;
	const knownZone = isTimezone(timezone);
	if (!knownZone)
		faults.push(
			invalidValue(
				`timezone ${JSON.stringify(timezone.slice(0, 64))} is not known${didYouMean(timezone, timezones())}`,
				positions.value(["timezone"]),
			),
		);
	const schedule = value.schedule === undefined ? undefined : at(["schedule"], () => parseSchedule(value.schedule!));
	if (value.start !== undefined) at(["start"], () => parseTime(value.start!, knownZone ? timezone : "UTC"));
	for (const key of Object.keys(value.params ?? {}))
		if (!/^[A-Za-z_]\w*$/.test(key))
			faults.push(invalidValue("a name of params has letters, digits and _ only", positions.key(["params", key])));
	const flush = value.flush ?? {};
	return {
		name,
		timezone,
		...(schedule !== undefined && { schedule }),
		...(value.start !== undefined && { start: value.start }),
		catchup: String(value.catchup ?? DEFAULTS.catchup) === "true",
		maxActiveRuns: Number(value.max_active_runs ?? DEFAULTS.maxActiveRuns),
		concurrency: Number(value.concurrency ?? DEFAULTS.concurrency),
		...(value.memory !== undefined && { memoryBytes: parseSize(value.memory) }),
		retries: Number(value.retries ?? DEFAULTS.retries),
		retryDelayMs: parseDuration(value.retry_delay ?? DEFAULTS.retryDelay),
		...(value.late_after !== undefined && { lateAfterMs: parseDuration(value.late_after) }),
		params: { ...value.params },
		schemaChanges: value.schema_changes ?? DEFAULTS.schemaChanges,
		flush: {
			intervalMs: Math.max(1, Math.round(Number(flush.seconds ?? DEFAULTS.flush.seconds) * 1000)),
			rows: parseCount(String(flush.rows ?? DEFAULTS.flush.rows)),
			bytes: parseSize(flush.bytes ?? DEFAULTS.flush.bytes),
		},
		checks: (value.checks ?? []).map((check, index) => dataCheck(check, ["checks", index], positions, faults)),
	};
}

/** What the work throws, with its place known. */
export function placed<Result>(place: ErrorPlace, work: () => Result): Result {
	try {
		return work();
	} catch (error) {
		throw error instanceof HeadraceError ? error.at(place) : error;
	}
}

function dataCheck(
	check: NonNullable<PipelineOptions["checks"]>[number],
	path: Path,
	positions: Positions,
	faults: HeadraceError[],
): DataCheck {
	const place = positions.value(path);
	const parts = splitDotted(check.table);
	if (parts === undefined || parts.length > 2 || parts.some((part) => part.text === ""))
		faults.push(
			invalidValue(
				`table ${JSON.stringify(check.table.slice(0, 120))} of a check is not a name such as raw.orders`,
				positions.value([...path, "table"]),
			),
		);
	if (check.rows === undefined && check.not_null === undefined && check.unique === undefined)
		faults.push(invalidValue(`the check of ${check.table} checks nothing; give rows, not_null or unique`, place));
	const [, operator, count] = /^\s*([=!<>]*)\s*(\d+)\s*$/.exec(String(check.rows ?? "")) ?? [];
	type Operator = NonNullable<DataCheck["rows"]>["operator"];
	return {
		table: check.table,
		...(count !== undefined && { rows: { operator: (operator || "=") as Operator, count: Number(count) } }),
		notNull: listOf(check.not_null ?? []),
		unique: listOf(check.unique ?? []),
		place,
	};
}
