import type { Schedule } from "../config/index.ts";

const UNITS: Readonly<Record<string, string>> = { s: "second", m: "minute", h: "hour", d: "day", w: "week" };

/** Of cron, as long as the pipelines have them: lists ask for all of them each time. */
const WORDS = new WeakMap<Schedule, string>();

/** A schedule as people say it: `At 02:00`, `Every 5 minutes`. */
export async function scheduleWords(schedule: Schedule): Promise<string> {
	if (schedule.kind === "continuous") return "Follows the change stream";
	if (schedule.kind === "every") {
		const match = /^every\s+(\d+)\s*([smhdw])$/i.exec(schedule.text);
		const unit = UNITS[match?.[2]?.toLowerCase() ?? ""];
		if (match === null || unit === undefined) return schedule.text.replace(/^every/i, "Every");
		return Number(match[1]) === 1 ? `Every ${unit}` : `Every ${match[1]} ${unit}s`;
	}
	const known = WORDS.get(schedule);
	if (known !== undefined) return known;
	const { default: cronstrue } = await import("cronstrue");
	const words = cronstrue.toString(schedule.fields.join(" "), {
		use24HourTimeFormat: true,
		throwExceptionOnParseError: false,
	});
	WORDS.set(schedule, words);
	return words;
}
