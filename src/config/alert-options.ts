import { z } from "zod";
import { ALERT_EVENTS } from "../core/alert.ts";
import { duration, flag, oneOf, text, wholeNumber } from "./option-kinds.ts";

/** Every option of a channel that alarms go to. */

export const CHANNEL_TYPES = ["slack", "teams", "webhook", "email"] as const;

export const ALERT_DEFAULTS = {
	on: ["failed", "recovered", "late"],
	coolDown: "1h",
	smtpPort: 587,
} as const;

const EVENTS_FORM = `one of ${ALERT_EVENTS.join(", ")}, or a list of them`;
const NAMES_FORM = "a table, a pattern, or a list of them";
const ADDRESSES_FORM = "an e-mail address or a list of addresses";

const events = z.enum(ALERT_EVENTS, { error: EVENTS_FORM });

function listOrOne(form: string) {
	return z.union([text(form), z.array(text(form)).min(1, { error: form })], { error: form });
}

const smtpOptions = z.strictObject({
	host: text("a host name or IP address without port").describe("Host name or IP address of the mail server."),
	port: wholeNumber(1, 65_535)
		.describe("Port: on 465 TLS is there from the start, on others it is asked for by STARTTLS.")
		.meta({ default: ALERT_DEFAULTS.smtpPort })
		.optional(),
	user: text().describe("User to log in as; without it nobody logs in.").optional(),
	password: text("text, best by reference such as ${env:SMTP_PASSWORD}").describe("Password of the user.").optional(),
	tls: oneOf(["on", "off", "insecure"])
		.describe(
			"`on` (default) encrypts and verifies the server; to a loopback address the default is not to. `insecure` encrypts and does not verify.",
		)
		.optional(),
	ca: text("a path to a PEM file, or PEM text")
		.describe("Certificate authority to verify the server with: a PEM file, or PEM text.")
		.optional(),
});

export const alertOptions = z.strictObject({
	type: oneOf(CHANNEL_TYPES).describe(
		"`slack` and `teams` take the address of an incoming webhook, `webhook` gets JSON, `email` goes through a mail server.",
	),
	name: text("a name of letters, digits, - _ and .")
		.describe("Name in reports and logs; default the type. What a channel was told is remembered by it.")
		.optional(),
	url: text("an https:// address, best by reference such as ${env:SLACK_URL}")
		.describe("Address of `slack`, `teams` and `webhook`. Whoever knows it can post there: take it from a reference.")
		.optional(),
	secret: text("text, best by reference such as ${env:WEBHOOK_SECRET}")
		.describe("Key that `webhook` signs its messages with.")
		.optional(),
	to: listOrOne(ADDRESSES_FORM).describe("Who gets an `email`.").meta({ title: "address or list" }).optional(),
	from: text("an e-mail address").describe("Sender of an `email`.").optional(),
	smtp: smtpOptions.describe("Mail server of `email`.").optional(),
	on: z
		.union([events, z.array(events).min(1, { error: EVENTS_FORM })], { error: EVENTS_FORM })
		.describe(
			"What it is told: `failed`, `recovered`, `late` (see `late_after`), `schema_changed`, `check_warned`, `succeeded` (every run: for a dead man's switch).",
		)
		.meta({ title: "event or list of events", default: `[${ALERT_DEFAULTS.on.join(", ")}]` })
		.optional(),
	tables: listOrOne(NAMES_FORM)
		.describe(
			"Only these tables, by source or destination name or pattern; what concerns the whole run is told anyway.",
		)
		.meta({ title: "table or list of tables" })
		.optional(),
	cool_down: duration()
		.describe("How long the same failure of the same table is counted, not told, after it was told.")
		.meta({ default: ALERT_DEFAULTS.coolDown })
		.optional(),
	allow_private: flag()
		.describe("Whether the address may be on this machine or in a private network, and without TLS.")
		.meta({ default: false })
		.optional(),
});

export const alertsOption = z.array(alertOptions);

/** The file alerts.yaml. */
export const alertsFile = z
	.strictObject({ alerts: alertsOption.describe("Channels of every pipeline that has no `alerts` of its own.") })
	.describe("Channels that alarms of all pipelines go to.");

export type AlertOptions = z.infer<typeof alertOptions>;
