/** The fields of answers that hold text which others wrote; names and states must stay what they are. */
const TEXTS = new Set([
	"message",
	"hint",
	"remedy",
	"detail",
	"reason",
	"failure",
	"note",
	"notes",
	"ddl",
	"address",
	"waits_for",
	"words",
	"action",
	"change",
	"text",
	"params",
]);

/**
 * An answer with the secrets in its texts masked, whoever put them there; what has none is given back as it is. Only
 * texts: a password that is a common word must not change a pipeline's name.
 */
export function redactTexts<Data>(data: Data, redact: (text: string) => string, inText = false): Data {
	if (typeof data === "string") return (inText ? redact(data) : data) as Data;
	if (typeof data !== "object" || data === null) return data;
	if (Array.isArray(data)) {
		let list: unknown[] | null = null;
		for (let at = 0; at < data.length; at++) {
			const redacted = redactTexts(data[at] as unknown, redact, inText);
			if (redacted === data[at]) continue;
			list ??= [...data];
			list[at] = redacted;
		}
		return (list ?? data) as Data;
	}
	let copy: Data | null = null;
	// Answers hold plain objects and lists only, and lists of thousands of runs: nothing is copied that need not be.
	for (const key in data) {
		const value = data[key];
		const redacted = redactTexts(value, redact, inText || TEXTS.has(key));
		if (redacted === value) continue;
		copy ??= { ...data };
		copy[key] = redacted;
	}
	return copy ?? data;
}
