import { ALERT_EVENTS, type AlertChannel, type AlertEvent, type MailServer } from "../core/alert.ts";
import type { ErrorPlace, HeadraceError } from "../core/errors.ts";
import { ALERT_DEFAULTS, type AlertOptions, alertsFile } from "./alert-options.ts";
import { placed } from "./check-settings.ts";
import { readCertificate } from "./connection.ts";
import { collecting } from "./connections.ts";
import { parseDuration } from "./durations.ts";
import { faultsOfShape, invalidValue } from "./issues.ts";
import { parsePattern } from "./patterns.ts";
import { type Path, type Positions, pathText } from "./positions.ts";
import type { ReferenceScope } from "./references.ts";
import { resolveReferences } from "./resolve.ts";
import { secretFrom } from "./secret-origins.ts";
import { listOf } from "./table-options.ts";

/** The root of an alerts.yaml, references not resolved. */
export interface AlertsFile {
	readonly value: unknown;
	readonly positions: Positions;
	readonly faults: readonly HeadraceError[];
}

export interface AlertsContext {
	readonly positions: Positions;
	readonly origin: (path: Path) => string | undefined;
	/** Relative paths start here. */
	readonly directory: string;
}

/** The channels of alerts.yaml; what is wrong with it goes on the list of faults. */
export function checkAlertsFile(file: AlertsFile, scope: ReferenceScope, faults: HeadraceError[]): AlertChannel[] {
	const { positions } = file;
	const resolved = resolveReferences(file.value, scope, positions);
	const shape = faultsOfShape(alertsFile, resolved.value, positions).map((each) => each.error);
	faults.push(...file.faults, ...resolved.faults, ...shape);
	if (shape.length > 0 || resolved.faults.length > 0) return [];
	const { alerts } = resolved.value as { readonly alerts: readonly AlertOptions[] };
	return checkAlerts(alerts, { positions, origin: resolved.origin, directory: scope.directory }, faults);
}

/** The channels of a list of `alerts`; what is wrong with them goes on the list of faults. */
export function checkAlerts(
	alerts: readonly AlertOptions[],
	context: AlertsContext,
	faults: HeadraceError[],
): AlertChannel[] {
	const channels: AlertChannel[] = [];
	const names = new Set<string>();
	for (const [index, alert] of alerts.entries()) {
		const channel = new ChannelReader(alert, ["alerts", index], context, faults).read(nameFor(alert, names));
		if (channel === undefined) continue;
		if (names.has(channel.name))
			faults.push(
				invalidValue(
					`two alerts have the name ${JSON.stringify(channel.name)}`,
					context.positions.value(["alerts", index, "name"]),
				),
			);
		names.add(channel.name);
		channels.push(channel);
	}
	return channels;
}

/** Its type, numbered where there are several: `slack`, `slack-2`. */
function nameFor({ name, type }: AlertOptions, taken: ReadonlySet<string>): string {
	if (name !== undefined) return name;
	for (let i = 1; ; i++) {
		const candidate = i === 1 ? type : `${type}-${i}`;
		if (!taken.has(candidate)) return candidate;
	}
}

const NAME_PATTERN = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,59}$/;
/** What mail servers take without quoting or SMTPUTF8; no character of it can end a command or a header. */
const ADDRESS_PATTERN = /^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?$/;
const HTTP_KEYS = ["url", "secret"] as const;
const MAIL_KEYS = ["to", "from", "smtp"] as const;

class ChannelReader {
	readonly #alert: AlertOptions;
	readonly #path: Path;
	readonly #context: AlertsContext;
	readonly #faults: HeadraceError[];
	readonly #faultsBefore: number;

	constructor(alert: AlertOptions, path: Path, context: AlertsContext, faults: HeadraceError[]) {
		this.#alert = alert;
		this.#path = path;
		this.#context = context;
		this.#faults = faults;
		this.#faultsBefore = faults.length;
	}

	read(name: string): AlertChannel | undefined {
		const alert = this.#alert;
		if (!NAME_PATTERN.test(name))
			this.#fault("has a name with other characters than letters, digits, - _ and ., or more than 60", "name");
		const mail = alert.type === "email";
		for (const key of mail ? HTTP_KEYS : MAIL_KEYS)
			if (alert[key] !== undefined) this.#fault(`of type ${alert.type} takes no ${key}`, key);
		if (alert.secret !== undefined && (alert.type === "slack" || alert.type === "teams"))
			this.#fault(`of type ${alert.type} takes no secret: only webhook signs its messages`, "secret");
		const patterns = alert.tables === undefined ? undefined : listOf(alert.tables);
		for (const pattern of patterns ?? [])
			collecting(this.#faults, () => placed(this.#place("tables"), () => parsePattern(pattern)));
		const on = (alert.on === undefined ? ALERT_DEFAULTS.on : listOf(alert.on)) as readonly AlertEvent[];
		const base = {
			name,
			on: ALERT_EVENTS.filter((event) => on.includes(event)),
			...(patterns !== undefined && { tables: patterns }),
			coolDownMs: parseDuration(alert.cool_down ?? ALERT_DEFAULTS.coolDown),
			allowPrivate: String(alert.allow_private ?? false) === "true",
		};
		const ends = mail ? this.#mail() : this.#http(base.allowPrivate);
		return this.#faults.length > this.#faultsBefore ? undefined : ({ ...base, ...ends } as AlertChannel);
	}

	#http(allowPrivate: boolean) {
		const { type, url, secret } = this.#alert;
		if (url === undefined) this.#fault(`of type ${type} has no url`);
		else this.#checkUrl(url, allowPrivate);
		return {
			type,
			url: this.#secret("url", url ?? ""),
			...(secret !== undefined && { secret: this.#secret("secret", secret) }),
		};
	}

	/** The address is a secret: no message shows it. */
	#checkUrl(text: string, allowPrivate: boolean): void {
		const url = URL.canParse(text) ? new URL(text) : undefined;
		if (url === undefined || (url.protocol !== "https:" && url.protocol !== "http:"))
			this.#fault("has a url that is no https:// address", "url");
		else if (url.protocol === "http:" && !allowPrivate)
			this.#fault("has a url without TLS: write https://, or allow_private: true for a server of your own", "url");
		else if (url.username !== "" || url.password !== "")
			this.#fault("has a user or password in its url, which is not sent", "url");
	}

	#mail() {
		const { to, from, smtp } = this.#alert;
		if (to === undefined) this.#fault("of type email has no to");
		if (from === undefined) this.#fault("of type email has no from");
		if (smtp === undefined) this.#fault("of type email has no smtp");
		const receivers = to === undefined ? [] : listOf(to);
		for (const address of receivers) this.#checkAddress(address, "to");
		if (from !== undefined) this.#checkAddress(from, "from");
		return { type: "email", to: receivers, from, ...(smtp !== undefined && { smtp: this.#mailServer(smtp) }) };
	}

	#checkAddress(address: string, key: string): void {
		if (!ADDRESS_PATTERN.test(address))
			this.#fault(
				`has an address that is not of the form name@example.com: ${JSON.stringify(address.slice(0, 80))}`,
				key,
			);
	}

	#mailServer(smtp: NonNullable<AlertOptions["smtp"]>): MailServer {
		const at = (key: string) => this.#place("smtp", key);
		const host = smtp.host.replace(/^\[(.*)\]$/, "$1");
		if (/[\s/\\@?#]/.test(host))
			this.#faults.push(
				invalidValue(`${this.#name("smtp")}.host must be a host name or IP address without port`, at("host")),
			);
		if (smtp.password !== undefined && smtp.user === undefined)
			this.#faults.push(invalidValue(`${this.#name("smtp")} has a password and no user`, at("password")));
		const tls = smtp.tls ?? (isLoopback(host) && smtp.ca === undefined ? "off" : "on");
		if (tls === "off" && smtp.password !== undefined && !isLoopback(host))
			this.#faults.push(
				invalidValue(`${this.#name("smtp")} would send its password without TLS; write tls: on`, at("tls")),
			);
		const where = { where: this.#name("smtp"), directory: this.#context.directory };
		const ca =
			smtp.ca === undefined ? undefined : collecting(this.#faults, () => readCertificate(smtp.ca!, where, at("ca")));
		return {
			host,
			port: Number(smtp.port ?? ALERT_DEFAULTS.smtpPort),
			...(smtp.user !== undefined && { user: smtp.user }),
			...(smtp.password !== undefined && {
				password: secretFrom(smtp.password, this.#context.origin([...this.#path, "smtp", "password"])),
			}),
			tls,
			...(ca !== undefined && { ca }),
		};
	}

	#secret(key: string, value: string) {
		return secretFrom(value, this.#context.origin([...this.#path, key]));
	}

	#name(...keys: string[]): string {
		return pathText([...this.#path, ...keys]);
	}

	#place(...keys: string[]): ErrorPlace {
		return this.#context.positions.value([...this.#path, ...keys]);
	}

	#fault(what: string, key?: string): void {
		this.#faults.push(invalidValue(`${this.#name()} ${what}`, key === undefined ? this.#place() : this.#place(key)));
	}
}

function isLoopback(host: string): boolean {
	return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
}
