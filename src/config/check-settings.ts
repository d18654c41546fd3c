import { type ErrorPlace, HeadraceError } from "../core/errors.ts";
import { dataChecks, hooksOf, type PolicyContext, summaries, type TemplateCheck } from "./check-policy.ts";
import { collecting } from "./connections.ts";
import { parseDuration } from "./durations.ts";
import { parseTime } from "./intervals.ts";
import { invalidValue } from "./issues.ts";
import { DEFAULTS, type PipelineOptions } from "./options.ts";
import type { CheckedPipeline } from "./pipeline.ts";
import type { Path, Positions } from "./positions.ts";
import { parseSchedule } from "./schedules.ts";
import { parseCount, parseSize } from "./sizes.ts";
import { didYouMean } from "./suggest.ts";
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
	| "summaries"
	| "hooks"
>;

interface SettingsInput {
	readonly name: string;
	readonly positions: Positions;
	readonly checkTemplate?: TemplateCheck | undefined;
}

/** A name that can be part of a file's name on every system. */
const NAME_PATTERN = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$/;

/** Fills the defaults in; what is wrong goes on the list of faults. */
export function checkSettings(
	value: Partial<PipelineOptions>,
	{ name: fileName, positions, checkTemplate }: SettingsInput,
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
	const policy: PolicyContext = { positions, faults, check: checkTemplate };
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
		checks: dataChecks(value.checks ?? [], policy),
		summaries: summaries(value.summaries ?? {}, Object.keys(value.tables ?? {}), policy),
		hooks: hooksOf(value.hooks, ["hooks"], policy),
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
