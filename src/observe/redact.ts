import { Secret } from "../core/secret.ts";

const MASK = "***";
/** A shorter secret is masked only where it stands as a word by itself: every `a` of a text can't be hidden. */
const ANYWHERE_LENGTH_MIN = 6;
/** One or two characters are no secret; masking them would only spoil the text. */
const SECRET_LENGTH_MIN = 3;
/** Fewer base64 digits than this are found by chance. */
const BASE64_LENGTH_MIN = 7;

/**
 * Masks secrets in texts that leave the process: those it was told, in every form that a URL, a header, JSON or SQL
 * gives them, and by their look passwords in URLs and in `password=…` or `IDENTIFIED BY '…'`.
 */
export class Redactor {
	readonly #anywhere = new Set<string>();
	readonly #words = new Set<string>();
	#pattern: RegExp | null = null;

	/** Remembers a secret. */
	add(secret: string | Secret): void {
		const value = secret instanceof Secret ? secret.reveal() : secret;
		if (value.length < SECRET_LENGTH_MIN || value === MASK) return;
		for (const form of formsOf(value)) {
			if (form.length < ANYWHERE_LENGTH_MIN) this.#words.add(form);
			else this.#anywhere.add(form);
		}
		for (const form of base64FormsOf(value)) this.#anywhere.add(form);
		this.#pattern = null;
	}

	/** Remembers every `Secret` that a configuration holds, however deep. */
	addFrom(value: unknown): void {
		const seen = new Set<object>();
		const visit = (each: unknown): void => {
			if (typeof each !== "object" || each === null || seen.has(each)) return;
			seen.add(each);
			if (each instanceof Secret) this.add(each);
			else if (each instanceof Map || each instanceof Set) for (const item of each) visit(item);
			else for (const item of Object.values(each)) visit(item);
		};
		visit(value);
	}

	/** The text with every secret masked. Bound, so that it can be passed on. */
	readonly redact = (text: string): string => {
		this.#pattern ??= patternOf(this.#anywhere, this.#words);
		return redactByLook(this.#pattern === null ? text : text.replace(this.#pattern, MASK));
	};

	/** A copy of plain data with every string in it redacted; numbers and keys stay. */
	redactData<Data>(data: Data): Data {
		if (typeof data === "string") return this.redact(data) as Data;
		if (Array.isArray(data)) return data.map((item) => this.redactData(item)) as Data;
		if (data instanceof Secret) return MASK as Data;
		if (typeof data === "object" && data !== null)
			return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, this.redactData(value)])) as Data;
		return data;
	}
}

/** Masks what looks like a password, whether or not anyone knows it: in URLs, in key=value lists, in SQL. */
export function redactByLook(text: string): string {
	return (
		text
			// A password that was not encoded may hold `@`, `/` and `:`; its end is the last `@` before a blank or quote.
			.replace(/(\b[a-z][a-z0-9+.-]{0,20}:\/\/[^\s:/?#@"'`<>]*):(?!\*\*\*@|\$\{[^}]*\}@)[^\s"'`<>]+@/gi, `$1:${MASK}@`)
			.replace(
				/\b((?:[a-z_-]*password|passwd|pwd|[a-z_-]*secret(?:_access_key)?|[a-z_-]*token|x-amz-signature|sig)=)(?!\$\{)(?:"[^"]*"|'[^']*'|[^\s&;,"')]+)/gi,
				`$1${MASK}`,
			)
			.replace(
				/\b(IDENTIFIED\s+BY(?:\s+PASSWORD)?|(?:ENCRYPTED\s+)?PASSWORD)\s+'(?!(?:…|\.\.\.)')(?:[^'\\]|''|\\.)*'/gi,
				`$1 '${MASK}'`,
			)
	);
}

/** The value itself, as a URL writes it, as JSON and SQL quote it. */
function formsOf(value: string): Set<string> {
	const encoded = encodeURIComponent(toWellFormed(value));
	// encodeURIComponent leaves these; other encoders (RFC 3986, HTML forms) do not.
	const strict = encoded.replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
	const lower = (text: string): string => text.replace(/%[0-9A-F]{2}/g, (hex) => hex.toLowerCase());
	const form = strict.replaceAll("%20", "+");
	return new Set([
		value,
		encoded,
		strict,
		form,
		lower(encoded),
		lower(strict),
		lower(form),
		encodeURI(toWellFormed(value)),
		JSON.stringify(value).slice(1, -1),
		value.replaceAll("'", "''"),
		value.replaceAll("\\", "\\\\").replaceAll("'", "\\'"),
		...(Buffer.byteLength(value) >= 4 ? [Buffer.from(value).toString("hex")] : []),
	]);
}

/**
 * The base64 digits that the value gives wherever it stands in what was encoded (`user:password` of HTTP, say): one
 * for each place modulo three, without the digits at its edges that its neighbours share.
 */
function base64FormsOf(value: string): Set<string> {
	const forms = new Set<string>();
	const bytes = Buffer.from(value);
	for (let before = 0; before < 3; before++) {
		const text = Buffer.concat([Buffer.alloc(before), bytes])
			.toString("base64")
			.replaceAll("=", "");
		const start = before === 0 ? 0 : before + 1;
		const whole = (before + bytes.length) % 3 === 0;
		const inner = text.slice(start, whole ? text.length : -1);
		if (inner.length < BASE64_LENGTH_MIN) continue;
		forms.add(inner);
		forms.add(inner.replaceAll("+", "-").replaceAll("/", "_"));
	}
	return forms;
}

function patternOf(anywhere: ReadonlySet<string>, words: ReadonlySet<string>): RegExp | null {
	// Longest first: a secret that begins with another one must be masked whole.
	const escaped = (texts: ReadonlySet<string>): string[] =>
		[...texts].sort((a, b) => b.length - a.length).map((text) => literal(text));
	const parts = [
		...escaped(anywhere),
		...escaped(words).map((word) => `(?<![\\p{L}\\p{N}_])${word}(?![\\p{L}\\p{N}_])`),
	];
	return parts.length === 0 ? null : new RegExp(parts.join("|"), "gu");
}

/** A text as a pattern that matches just it. */
function literal(text: string): string {
	return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}

function toWellFormed(text: string): string {
	return text.toWellFormed();
}
