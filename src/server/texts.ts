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
 * A copy of an answer with the secrets in its texts masked, whoever put them there. Only texts: a password that is a
 * common word must not change a pipeline's name.
 */
export function redactTexts<Data>(data: Data, redact: (text: string) => string, inText = false): Data {
	if (typeof data === "string") return (inText ? redact(data) : data) as Data;
	if (Array.isArray(data)) return data.map((item) => redactTexts(item, redact, inText)) as Data;
	if (typeof data !== "object" || data === null) return data;
	const entries = Object.entries(data).map(([key, value]) => [
		key,
		redactTexts(value as unknown, redact, inText || TEXTS.has(key)),
	]);
	return Object.fromEntries(entries) as Data;
}
