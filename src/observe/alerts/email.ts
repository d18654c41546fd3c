import type { EmailChannel } from "../../core/alert.ts";
import { type AlertMessage, messageText, titleOf } from "./message.ts";

/** Bytes of text in one encoded word, which may have 75 characters: https://www.rfc-editor.org/rfc/rfc2047#section-2 */
const WORD_BYTES_MAX = 45;
const PLAIN_SUBJECT_MAX = 60;
const BASE64_LINE = 76;

/** A message as it goes over SMTP: plain text in UTF-8, as base64, so that no line is too long or has 8-bit bytes. */
export function emailText(channel: EmailChannel, message: AlertMessage): string {
	const host = /^[A-Za-z0-9.-]+$/.test(message.host) ? message.host : "localhost";
	const headers: readonly (readonly [string, string])[] = [
		["From", `Headrace <${channel.from}>`],
		["To", channel.to.join(",\r\n ")],
		["Subject", subjectOf(titleOf(message))],
		["Date", new Date(message.at).toUTCString().replace(/GMT$/, "+0000")],
		["Message-ID", `<${message.id}@${host}>`],
		// Nobody's out-of-office note answers it: https://www.rfc-editor.org/rfc/rfc3834#section-5
		["Auto-Submitted", "auto-generated"],
		["MIME-Version", "1.0"],
		["Content-Type", "text/plain; charset=utf-8"],
		["Content-Transfer-Encoding", "base64"],
	];
	const body = Buffer.from(messageText(message).replaceAll("\n", "\r\n")).toString("base64");
	const lines = body.match(new RegExp(`.{1,${BASE64_LINE}}`, "g")) ?? [];
	return `${headers.map(([name, value]) => `${name}: ${value}`).join("\r\n")}\r\n\r\n${lines.join("\r\n")}\r\n`;
}

/** Text that a header can hold: as it is when it is short ASCII, else in encoded words, a line each. */
export function subjectOf(text: string): string {
	const line = text.replace(/\p{Cc}+/gu, " ").trim();
	if (line.length <= PLAIN_SUBJECT_MAX && /^[\x20-\x7e]*$/.test(line) && !line.includes("=?")) return line;
	const words: string[] = [];
	let word = "";
	for (const character of line) {
		if (Buffer.byteLength(word + character) > WORD_BYTES_MAX) {
			words.push(word);
			word = "";
		}
		word += character;
	}
	words.push(word);
	return words.map((each) => `=?utf-8?B?${Buffer.from(each).toString("base64")}?=`).join("\r\n ");
}
