const QUOTE = 34;
const BACKSLASH = 92;

/** What a value of a record is. */
export const ABSENT = 0;
export const NULL = 1;
export const STRING = 2;
/** A string with backslashes; see `unescaped`. */
export const ESCAPED_STRING = 3;
export const NUMBER = 4;
export const TRUE = 5;
export const FALSE = 6;
export const ARRAY = 7;
export const OBJECT = 8;

/** The kind of a literal or number; ABSENT when it is none. */
export function bareKind(bytes: Buffer, start: number, end: number): number {
	const first = bytes[start];
	if (first === 110) return end - start === 4 && bytes.toString("latin1", start, end) === "null" ? NULL : ABSENT;
	if (first === 116) return end - start === 4 && bytes.toString("latin1", start, end) === "true" ? TRUE : ABSENT;
	if (first === 102) return end - start === 5 && bytes.toString("latin1", start, end) === "false" ? FALSE : ABSENT;
	return isNumber(bytes, start, end) ? NUMBER : ABSENT;
}

/** https://www.rfc-editor.org/rfc/rfc8259#section-6 */
function isNumber(bytes: Buffer, start: number, end: number): boolean {
	let at = start;
	const digits = (): number => {
		const from = at;
		while (at < end && bytes[at]! >= 48 && bytes[at]! <= 57) at++;
		return at - from;
	};
	if (bytes[at] === 45) at++;
	const leadingZero = bytes[at] === 48;
	const whole = digits();
	if (whole === 0 || (leadingZero && whole > 1)) return false;
	if (at < end && bytes[at] === 46) {
		at++;
		if (digits() === 0) return false;
	}
	if (at < end && (bytes[at] === 101 || bytes[at] === 69)) {
		at++;
		if (bytes[at] === 43 || bytes[at] === 45) at++;
		if (digits() === 0) return false;
	}
	return at === end;
}

const ESCAPED = new Map<number, number>([
	[QUOTE, QUOTE],
	[BACKSLASH, BACKSLASH],
	[47, 47],
	[98, 8],
	[102, 12],
	[110, 10],
	[114, 13],
	[116, 9],
]);

let scratch = Buffer.allocUnsafeSlow(1 << 12);

/**
 * The bytes of an escaped string, valid until the next call; null when an escape is not one of JSON's. Half a surrogate
 * pair, which no UTF-8 can hold, becomes the byte 0xFF: the check of the text then finds it.
 */
export function unescaped(bytes: Buffer, start: number, end: number): Buffer | null {
	if (scratch.length < end - start) scratch = Buffer.allocUnsafeSlow(Math.max(scratch.length * 2, end - start));
	let to = 0;
	for (let at = start; at < end; at++) {
		const byte = bytes[at]!;
		if (byte !== BACKSLASH) {
			scratch[to++] = byte;
			continue;
		}
		const letter = bytes[++at]!;
		if (letter !== 117) {
			const plain = ESCAPED.get(letter);
			if (plain === undefined) return null;
			scratch[to++] = plain;
			continue;
		}
		let code = hexUnit(bytes, at + 1, end);
		if (code < 0) return null;
		at += 4;
		if (code >= 0xd800 && code < 0xdc00 && bytes[at + 1] === BACKSLASH && bytes[at + 2] === 117) {
			const low = hexUnit(bytes, at + 3, end);
			if (low >= 0xdc00 && low < 0xe000) {
				code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
				at += 6;
			}
		}
		if (code >= 0xd800 && code < 0xe000) scratch[to++] = 0xff;
		else if (code < 0x80) scratch[to++] = code;
		else if (code < 0x800) {
			scratch[to++] = 0xc0 | (code >> 6);
			scratch[to++] = 0x80 | (code & 63);
		} else if (code < 0x10000) {
			scratch[to++] = 0xe0 | (code >> 12);
			scratch[to++] = 0x80 | ((code >> 6) & 63);
			scratch[to++] = 0x80 | (code & 63);
		} else {
			scratch[to++] = 0xf0 | (code >> 18);
			scratch[to++] = 0x80 | ((code >> 12) & 63);
			scratch[to++] = 0x80 | ((code >> 6) & 63);
			scratch[to++] = 0x80 | (code & 63);
		}
	}
	return scratch.subarray(0, to);
}

/** Four hexadecimal digits; -1 when they are none. */
function hexUnit(bytes: Buffer, start: number, end: number): number {
	if (start + 4 > end) return -1;
	let code = 0;
	for (let at = start; at < start + 4; at++) {
		const byte = bytes[at]!;
		const digit =
			byte >= 48 && byte <= 57
				? byte - 48
				: byte >= 97 && byte <= 102
					? byte - 87
					: byte >= 65 && byte <= 70
						? byte - 55
						: -1;
		if (digit < 0) return -1;
		code = code * 16 + digit;
	}
	return code;
}
