import MimeNode from "nodemailer/lib/mime-node";
import type { EmailChannel } from "../../core/alert.ts";
import { type AlertMessage, messageText, titleOf } from "./message.ts";

/** A message as it goes over SMTP: plain text in UTF-8, as base64, so that no line is too long or has 8-bit bytes. */
export function emailText(channel: EmailChannel, message: AlertMessage): Promise<Buffer> {
	const host = /^[A-Za-z0-9.-]+$/.test(message.host) ? message.host : "localhost";
	const mail = new MimeNode("text/plain; charset=utf-8", {
		newline: "win",
		textEncoding: "B",
		disableFileAccess: true,
		disableUrlAccess: true,
	});
	mail.setHeader({
		From: { name: "Headrace", address: channel.from },
		To: channel.to.map((address) => ({ name: "", address })),
		Subject: titleOf(message)
			.replace(/\p{Cc}+/gu, " ")
			.trim(),
		Date: new Date(message.at),
		"Message-ID": `<${message.id}@${host}>`,
		// Nobody's out-of-office note answers it: https://www.rfc-editor.org/rfc/rfc3834#section-5
		"Auto-Submitted": "auto-generated",
		"Content-Transfer-Encoding": "base64",
	});
	mail.setContent(messageText(message).replaceAll("\n", "\r\n"));
	return mail.build();
}
