/** Characters that are not seen, or that turn the direction of a line: they are written by their numbers. */
const UNSEEN = /[\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]/g;

/** A text as a Python string. What JSON escapes, Python reads the same: https://docs.python.org/3/reference/lexical_analysis.html */
export function pythonText(text: string): string {
	return JSON.stringify(text).replace(UNSEEN, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** A moment in milliseconds since 1970 as a Python datetime in UTC. */
export function pythonTime(atMs: number): string {
	const at = new Date(atMs);
	const time = [at.getUTCHours(), at.getUTCMinutes(), at.getUTCSeconds()];
	while (time.at(-1) === 0) time.pop();
	const parts = [at.getUTCFullYear(), at.getUTCMonth() + 1, at.getUTCDate(), ...time];
	return `datetime(${parts.join(", ")}, tzinfo=timezone.utc)`;
}
