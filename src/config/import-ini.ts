import { HeadraceError, HeadraceErrors } from "../core/errors.ts";
import { CONNECTION_TYPES } from "./connection-types.ts";
import type { ConnectionType } from "./pipeline.ts";

/** A connection that an ini file describes. */
export interface ImportedConnection {
	/** The section's name without `_config`, `_creds` or `_credentials`; `s3` for a section of AWS keys. */
	readonly name: string;
	readonly type: ConnectionType;
	readonly section: string;
	/** Keys of connections.yaml with their values, those of secrets excepted. */
	readonly values: Readonly<Record<string, string | number>>;
	/** Keys whose values must be kept elsewhere. */
	readonly secrets: Readonly<Record<string, string>>;
}

export interface LeftOut {
	readonly section: string;
	/** Absent: the whole section. */
	readonly key?: string;
	readonly why: string;
}

export interface ImportedIni {
	readonly connections: readonly ImportedConnection[];
	readonly leftOut: readonly LeftOut[];
}

interface Entry {
	readonly value: string;
	/** `pipeline.conf:3`. Errors have it in their text and no place, whose line would be shown: it may hold a password. */
	readonly at: string;
}

type Section = ReadonlyMap<string, Entry>;

/** What scripts around Python's drivers call the keys of a connection. */
const ALIASES: Readonly<Record<string, readonly string[]>> = {
	host: ["hostname", "server", "host_name"],
	user: ["username", "user_name", "login"],
	password: ["passwd", "pass", "pwd"],
	database: ["dbname", "db", "database_name"],
	account: ["account_name"],
	bucket: ["bucket_name", "s3_bucket"],
	access_key_id: ["access_key", "aws_access_key_id", "aws_access_key"],
	secret_access_key: ["secret_key", "aws_secret_access_key", "aws_secret_key"],
	region: ["region_name", "aws_region", "aws_default_region"],
	endpoint: ["endpoint_url"],
	iam_role: ["iam_role_arn", "role_arn"],
};

/** Parts of other keys, which are not a connection's own. */
const USED_ELSEWHERE = new Set(["account_id"]);

/**
 * Reads an ini file as Python's configparser does: `key = value` or `key: value` under `[section]`, comments on lines
 * of their own; a `#` in a value belongs to it, as passwords have them.
 * @throws HeadraceErrors with E_INVALID_VALUE for each line that is none of these
 */
export function importIni(text: string, file: string): ImportedIni {
	const sections = parseSections(text, file);
	const connections: ImportedConnection[] = [];
	const leftOut: LeftOut[] = [];
	for (const [section, entries] of sections) {
		const type = typeOf(section, entries);
		if (type === null) leftOut.push({ section, why: "it names no system that Headrace reads or writes" });
		else connections.push(connectionOf(section, entries, type, sections, leftOut));
	}
	return { connections: distinct(connections), leftOut };
}

function parseSections(text: string, file: string): Map<string, Section> {
	const sections = new Map<string, Map<string, Entry>>();
	const faults: HeadraceError[] = [];
	let current: Map<string, Entry> | null = null;
	for (const [index, line] of text
		.replace(/^\uFEFF/, "")
		.split(/\r?\n/)
		.entries()) {
		const at = `${file}:${index + 1}`;
		const fault = (message: string) => faults.push(new HeadraceError("E_INVALID_VALUE", `${at}: ${message}`));
		if (/^\s*(?:[#;].*)?$/.test(line)) continue;
		const name = /^\[([^\]]+)\]\s*$/.exec(line)?.[1]?.trim();
		if (name !== undefined) {
			if (sections.has(name)) fault(`section [${name}] is there twice`);
			current = new Map();
			sections.set(name, current);
			continue;
		}
		const [, key, value] = /^\s*([^\s=:][^=:]*?)\s*[=:]\s*(.*?)\s*$/.exec(line) ?? [];
		if (key === undefined) fault("the line is no [section], no `key = value` and no comment");
		else if (current === null) fault(`${key} stands before the first [section]`);
		else if (current.has(key.toLowerCase())) fault(`${key} is there twice in its section`);
		else current.set(key.toLowerCase(), { value: value!, at });
	}
	if (sections.size === 0 && faults.length === 0)
		faults.push(new HeadraceError("E_INVALID_VALUE", `${file} has no [section]`));
	if (faults.length > 0) throw new HeadraceErrors(faults);
	return sections;
}

const NAMED: readonly (readonly [RegExp, ConnectionType])[] = [
	[/snowflake/i, "snowflake"],
	[/redshift/i, "redshift"],
	[/mysql|mariadb/i, "mysql"],
	[/postgres|(?:^|_)pg(?:_|$)/i, "postgres"],
	[/mssql|sql_?server/i, "sqlserver"],
];

function typeOf(section: string, entries: Section): ConnectionType | null {
	const host = find(entries, "host")?.value ?? "";
	if (/\.redshift(?:-serverless)?\./i.test(host)) return "redshift";
	const named = NAMED.find(([pattern]) => pattern.test(section))?.[1];
	if (named !== undefined) return named;
	if (find(entries, "bucket") !== undefined) return "s3";
	return /aws/i.test(section) && entries.has("iam_role") ? "redshift" : null;
}

function find(entries: Section, key: string): Entry | undefined {
	return [key, ...(ALIASES[key] ?? [])].map((name) => entries.get(name)).find((entry) => entry !== undefined);
}

function connectionOf(
	section: string,
	entries: Section,
	type: ConnectionType,
	sections: ReadonlyMap<string, Section>,
	leftOut: LeftOut[],
): ImportedConnection {
	const { fields } = CONNECTION_TYPES[type];
	const values: Record<string, string | number> = {};
	const secrets: Record<string, string> = {};
	const taken = new Set<string>();
	for (const [key, rule] of Object.entries(fields)) {
		const name = [key, ...(ALIASES[key] ?? [])].find((each) => entries.has(each) && !taken.has(each));
		if (name === undefined) continue;
		taken.add(name);
		const { value, at } = entries.get(name)!;
		if (value === "") leftOut.push({ section, key: name, why: "it has no value" });
		else if (rule.kind === "secret") secrets[key] = value;
		else values[key] = plainValue(rule.kind, key, { value, at }, sections);
	}
	for (const key of entries.keys())
		if (!taken.has(key) && !USED_ELSEWHERE.has(key))
			leftOut.push({ section, key, why: `a connection of type ${type} has no such key` });
	return { name: nameOf(section, type), type, section, values, secrets };
}

function plainValue(
	kind: string,
	key: string,
	{ value, at }: Entry,
	sections: ReadonlyMap<string, Section>,
): string | number {
	if (kind === "port") {
		if (/^\d{1,5}$/.test(value)) return Number(value);
		throw new HeadraceErrors([new HeadraceError("E_INVALID_VALUE", `${at}: ${key} must be a whole number`)]);
	}
	if (key !== "iam_role" || value.startsWith("arn:")) return value;
	// Scripts keep the role's name and the account's number apart, and put the ARN together themselves.
	const account = [...sections.values()].map((entries) => entries.get("account_id")?.value).find(Boolean);
	if (account === undefined || !/^\d+$/.test(account))
		throw new HeadraceErrors([
			new HeadraceError("E_INVALID_VALUE", `${at}: iam_role is a name, and no section has the account_id of its ARN`, {
				hint: "Write the role's whole ARN: arn:aws:iam::<account>:role/<name>.",
			}),
		]);
	return `arn:aws:iam::${account}:role/${value}`;
}

function nameOf(section: string, type: ConnectionType): string {
	if (type === "s3" && /aws|boto/i.test(section)) return "s3";
	if (type === "redshift" && /^aws_(?:creds|credentials)$/i.test(section)) return "redshift";
	return section.replace(/_(?:config|conf|creds|credentials|connection)$/i, "").replace(/[^A-Za-z0-9_-]+/g, "_");
}

/** Two sections whose short names are equal keep their long ones. */
function distinct(connections: readonly ImportedConnection[]): ImportedConnection[] {
	const count = (name: string) => connections.filter((each) => each.name === name).length;
	return connections.map((each) =>
		count(each.name) === 1 ? each : { ...each, name: each.section.replace(/[^A-Za-z0-9_-]+/g, "_") },
	);
}
