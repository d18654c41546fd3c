import { createHmac } from "node:crypto";
import type { Secret } from "../../core/secret.ts";
import { countText } from "../format.ts";
import { type AlertMessage, closingLines, commandLines, itemLines, shownItems, titleOf } from "./message.ts";

/** Most characters of a Slack header and section: https://docs.slack.dev/reference/block-kit/blocks */
const SLACK_HEADER_MAX = 150;
const SLACK_SECTION_MAX = 3000;

/** A message for a Slack incoming webhook, in Block Kit. */
export function slackPayload(message: AlertMessage): unknown {
	const { shown, hidden } = shownItems(message);
	const section = (text: string) => ({
		type: "section",
		// verbatim: Slack makes no links and no mentions of what an error message says.
		text: { type: "mrkdwn", text: text.slice(0, SLACK_SECTION_MAX), verbatim: true },
	});
	const title = titleOf(message);
	return {
		text: slackText(title),
		blocks: [
			{ type: "header", text: { type: "plain_text", text: title.slice(0, SLACK_HEADER_MAX), emoji: false } },
			...shown.map((item) => {
				const name = `*${slackText(item.table ?? message.pipeline)}*`;
				const code = item.code === null ? "" : `  \`${slackText(item.code)}\``;
				return section([name + code, ...itemLines(item, message.event).map(slackText)].join("\n"));
			}),
			...(hidden > 0 ? [section(`and ${countText(hidden)} more`)] : []),
			...commandLines(message).map(([label, command]) => section(`${label}: \`${slackText(command)}\``)),
			{
				type: "context",
				elements: closingLines(message).map((line) => ({ type: "plain_text", text: line, emoji: false })),
			},
		],
	};
}

/** https://docs.slack.dev/messaging/formatting-message-text#escaping; a backtick would end what is shown as code. */
function slackText(text: string): string {
	return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll("`", "'");
}

/**
 * A message for a Teams webhook made by Workflows ("When a Teams webhook request is received"): an Adaptive Card.
 * Its texts are runs of a RichTextBlock, in which no Markdown works: what an error message says stays text.
 * https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using
 */
export function teamsPayload(message: AlertMessage): unknown {
	const { shown, hidden } = shownItems(message);
	const run = (text: string, style: object = {}) => ({ type: "TextRun", text, ...style });
	const block = (inlines: readonly unknown[], style: object = {}) => ({ type: "RichTextBlock", inlines, ...style });
	const color = { failed: "attention", late: "warning", recovered: "good", succeeded: "good" } as const;
	const title = {
		size: "large",
		weight: "bolder",
		color: (color as Record<string, string>)[message.event] ?? "default",
	};
	const body = [
		block([run(titleOf(message), title)]),
		...shown.flatMap((item) => [
			block(
				[
					run(item.table ?? message.pipeline, { weight: "bolder" }),
					...(item.code === null ? [] : [run(`  ${item.code}`, { fontType: "monospace" })]),
				],
				{ separator: true },
			),
			...itemLines(item, message.event).map((line) => block([run(line)], { spacing: "none" })),
		]),
		...(hidden > 0 ? [block([run(`and ${countText(hidden)} more`)])] : []),
		...commandLines(message).map(([label, command]) =>
			block([run(`${label}: `), run(command, { fontType: "monospace" })], { separator: label === "more" }),
		),
		...closingLines(message).map((line) => block([run(line, { isSubtle: true, size: "small" })])),
	];
	const card = {
		$schema: "http://adaptivecards.io/schemas/adaptive-card.json",
		type: "AdaptiveCard",
		version: "1.4",
		msteams: { width: "Full" },
		body,
	};
	return {
		type: "message",
		attachments: [{ contentType: "application/vnd.microsoft.card.adaptive", contentUrl: null, content: card }],
	};
}

/** What `webhook` channels get; documented in docs/alarms.md. */
export function jsonPayload(message: AlertMessage): unknown {
	const { id, event, pipeline, at, host, runId, commands } = message;
	return {
		format_version: "1.0",
		id,
		event,
		pipeline,
		title: titleOf(message),
		at,
		host,
		run_id: runId,
		items: message.items.map((item) => ({
			table: item.table,
			code: item.code,
			message: item.message,
			hint: item.hint,
			attempts: item.attempts,
			times: item.times,
			first_at: item.firstAt,
			last_at: item.lastAt,
			last_success: item.lastSuccess,
		})),
		commands,
	};
}

/**
 * The signature of a webhook's body: HMAC-SHA-256 over `<timestamp>.<body>`, the timestamp in seconds since 1970 and
 * part of what is signed, so that a message that was recorded can't be sent again later.
 */
export function signatureOf(secret: Secret, timestampSeconds: number, body: string): string {
	const digest = createHmac("sha256", secret.reveal()).update(`${timestampSeconds}.${body}`).digest("hex");
	return `t=${timestampSeconds},v1=${digest}`;
}
