import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { basename, resolve } from "node:path";
import { type ErrorPlace, HeadraceError, HeadraceErrors } from "../core/errors.ts";
import {
	CONNECTION_TYPES,
	COPY_FORMAT_WORDS,
	camelCase,
	type FieldRule,
	type FieldRules,
	FORMAT_WORDS,
	GLUE_FIELDS,
	KIND_FORMS,
	MAINTAIN_WORDS,
	TLS_WORDS,
} from "./connection-types.ts";
import { durationMs } from "./durations.ts";
import type { Connection, ConnectionType } from "./pipeline.ts";
import { secretFrom } from "./secret-origins.ts";
import { CONNECTION_ALIASES, didYouMean } from "./suggest.ts";

/** One key of a connection as it was written, its references resolved. */
export interface RawField {
	readonly value: unknown;
	/** As written, before YAML read a number from it: a password `0123` keeps its zero. */
	readonly source?: string | undefined;
	readonly origin?: string | undefined;
	readonly keyPlace?: ErrorPlace;
	readonly valuePlace?: ErrorPlace;
}

export interface RawConnection {
	/** Absent for an address: its database, bucket or file gives the name. */
	readonly name?: string;
	readonly type: ConnectionType;
	readonly fields: ReadonlyMap<string, RawField>;
	/** Relative paths start here. */
	readonly directory: string;
	readonly place: ErrorPlace;
}

/**
 * Checks the keys and values of a connection, whether they come from a file or an address.
 * @throws HeadraceErrors with every fault
 */
export function checkConnection(raw: RawConnection): Connection {
	const rule = CONNECTION_TYPES[raw.type];
	const faults: HeadraceError[] = [];
	const where = raw.name === undefined ? `the ${raw.type} address` : `connection ${raw.name}`;
	const options = checkFields(raw.fields, rule.fields, { where, faults, place: raw.place, directory: raw.directory });
	if (raw.type === "lake" && faults.length === 0 && "path" in options === "bucket" in options)
		faults.push(new HeadraceError("E_INVALID_VALUE", `${where} needs either path or bucket`, raw.place));
	if (raw.type === "lake" && faults.length === 0 && "path" in options && "glue" in options)
		faults.push(
			new HeadraceError("E_INVALID_VALUE", `${where} has glue and a path: Athena and Glue read buckets only`, {
				...(raw.fields.get("glue")?.keyPlace ?? raw.place),
				hint: "Write bucket instead of path, or leave glue out.",
			}),
		);
	if (faults.length > 0) throw new HeadraceErrors(faults);
	if (rule.port !== undefined) options["port"] ??= rule.port;
	const origins: Record<string, string> = {};
	for (const [key, field] of raw.fields) if (field.origin !== undefined) origins[key] = field.origin;
	return {
		type: raw.type,
		...options,
		name: raw.name ?? nameOf(raw.type, options),
		address: addressOf(raw.type, options),
		origins,
		place: raw.place,
	} as unknown as Connection;
}

interface FieldContext {
	readonly where: string;
	readonly faults: HeadraceError[];
	readonly place: ErrorPlace;
	readonly directory: string;
}

function checkFields(
	fields: ReadonlyMap<string, RawField>,
	rules: FieldRules,
	context: FieldContext,
): Record<string, unknown> {
	const options: Record<string, unknown> = {};
	for (const [key, field] of fields) {
		const rule = Object.hasOwn(rules, key) ? rules[key] : undefined;
		if (rule === undefined) {
			const known = Object.keys(rules);
			const meant = didYouMean(key, known, CONNECTION_ALIASES, `; its keys are ${known.join(", ")}`);
			const message = `unknown key ${JSON.stringify(key.slice(0, 120))} in ${context.where}${meant}`;
			context.faults.push(new HeadraceError("E_UNKNOWN_KEY", message, field.keyPlace ?? context.place));
			continue;
		}
		try {
			const value = readField(key, field, rule, context);
			if (value !== undefined) options[camelCase(key)] = value;
		} catch (error) {
			if (!(error instanceof HeadraceError)) throw error;
			context.faults.push(error);
		}
	}
	for (const [key, rule] of Object.entries(rules))
		if (rule.required && !fields.has(key))
			context.faults.push(new HeadraceError("E_INVALID_VALUE", `${context.where} has no ${key}`, context.place));
	return options;
}

function readField(key: string, field: RawField, rule: FieldRule, context: FieldContext): unknown {
	const place = field.valuePlace ?? context.place;
	const invalid = (form = KIND_FORMS[rule.kind]) =>
		new HeadraceError("E_INVALID_VALUE", `${key} of ${context.where} must be ${form}`, place);
	if (rule.kind === "glue") return readGlue(field.value, context, place, invalid);
	if (rule.kind === "names") return readNames(field.value, invalid);
	if (rule.kind === "flag" && typeof field.value === "boolean") return field.value;
	if (rule.kind === "tls" && typeof field.value === "boolean")
		throw invalid(`${KIND_FORMS.tls}; write ${key}: ${field.value ? "on" : "off"}`);
	if (typeof field.value !== "string" && typeof field.value !== "number") throw invalid();
	const text = typeof field.value === "string" ? field.value : (field.source ?? String(field.value));
	if (text === "" || text.includes("\0")) throw invalid();
	switch (rule.kind) {
		case "text":
			return text;
		case "secret":
			return secretFrom(text, field.origin);
		case "host":
			if (!isHost(text)) throw invalid();
			return text.replace(/^\[(.*)\]$/, "$1");
		case "port":
			if (!/^\d{1,5}$/.test(text) || Number(text) < 1 || Number(text) > 65535) throw invalid();
			return Number(text);
		case "flag":
			if (text !== "true" && text !== "false") throw invalid();
			return text === "true";
		case "tls":
			if (!TLS_WORDS.some((word) => word === text)) throw invalid(tlsForm(text));
			return text;
		case "format":
			if (!FORMAT_WORDS.some((word) => word === text)) throw invalid();
			return text;
		case "duration": {
			const milliseconds = durationMs(text);
			if (milliseconds === undefined) throw invalid();
			return milliseconds;
		}
		case "copy_format":
			if (!COPY_FORMAT_WORDS.some((word) => word === text)) throw invalid();
			return text;
		case "maintain":
			if (!MAINTAIN_WORDS.some((word) => word === text)) throw invalid();
			return text;
		case "path":
			return text === ":memory:" ? text : absolutePath(text, context.directory);
		case "prefix":
			if (text.split(/[/\\]/).includes("..")) throw invalid();
			return text.replace(/^\/+/, "");
		case "ca":
			return readCertificate(text, context, place);
	}
}

/** Names, IPv4, IPv6 with or without brackets, and the folder of a Unix socket. */
function isHost(text: string): boolean {
	if (text.startsWith("/")) return true;
	if (/[\s/\\@?#]/.test(text)) return false;
	return !text.includes(":") || /^\[?[0-9A-Fa-f]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(?:%\w+)?\]?$/.test(text);
}

function tlsForm(text: string): string {
	const meant = {
		disable: "off",
		disabled: "off",
		false: "off",
		require: "insecure",
		required: "insecure",
		true: "on",
	}[text.toLowerCase()];
	if (meant !== undefined) return `${KIND_FORMS.tls}; ${text} is ${meant} here`;
	return `${KIND_FORMS.tls}${didYouMean(text, TLS_WORDS)}`;
}

function absolutePath(text: string, directory: string): string {
	if (text === "~" || text.startsWith("~/")) return resolve(homedir(), text.slice(2));
	return resolve(directory, text);
}

/**
 * PEM text, or that of the file that the text names.
 * @throws E_FILE_NOT_FOUND, E_INVALID_VALUE
 */
export function readCertificate(
	text: string,
	context: Pick<FieldContext, "where" | "directory">,
	place: ErrorPlace,
): string {
	if (text.includes("-----BEGIN")) return text;
	const path = absolutePath(text, context.directory);
	try {
		const pem = readFileSync(path, "utf8");
		if (pem.includes("-----BEGIN CERTIFICATE-----")) return pem;
	} catch (cause) {
		throw new HeadraceError("E_FILE_NOT_FOUND", `ca of ${context.where}: ${path} can't be read`, { ...place, cause });
	}
	throw new HeadraceError("E_INVALID_VALUE", `ca of ${context.where}: ${path} holds no PEM certificate`, place);
}

function readNames(value: unknown, invalid: () => HeadraceError): readonly string[] {
	const names: unknown[] = typeof value === "string" ? value.split(",").map((name) => name.trim()) : asList(value);
	if (names.length === 0 || !names.every((name) => typeof name === "string" && name !== "")) throw invalid();
	return names as string[];
}

function asList(value: unknown): unknown[] {
	return Array.isArray(value) ? value : [];
}

function readGlue(value: unknown, context: FieldContext, place: ErrorPlace, invalid: () => HeadraceError): unknown {
	if (typeof value !== "object" || value === null || Array.isArray(value)) throw invalid();
	const fields = new Map(Object.entries(value).map(([key, each]) => [key, { value: each } satisfies RawField]));
	return checkFields(fields, GLUE_FIELDS, { ...context, place, where: `glue of ${context.where}` });
}

/** A short name for `{source}` and reports. */
function nameOf(type: ConnectionType, options: Record<string, unknown>): string {
	const path = options["path"];
	if (typeof path === "string" && path !== ":memory:") return basename(path).replace(/\.[^.]*$/, "") || type;
	return String(options["database"] ?? options["bucket"] ?? options["stream"] ?? type);
}

function addressOf(type: ConnectionType, options: Record<string, unknown>): string {
	const text = (key: string) => (typeof options[key] === "string" ? (options[key] as string) : "");
	if (options["bucket"] !== undefined) {
		const prefix = text("prefix") === "" ? "" : `/${text("prefix")}`;
		return `${type === "lake" ? "lake:" : ""}s3://${text("bucket")}${prefix}`;
	}
	if (options["path"] !== undefined) return type === "file" ? text("path") : `${type}:${text("path")}`;
	if (type === "kinesis") return `kinesis://${text("stream")}`;
	const user = options["user"] === undefined ? "" : `${encodeURIComponent(text("user"))}@`;
	const host = type === "snowflake" ? text("account") : text("host").includes(":") ? `[${text("host")}]` : text("host");
	const port = options["port"] === undefined ? "" : `:${options["port"]}`;
	const database = options["database"] === undefined ? "" : `/${encodeURIComponent(text("database"))}`;
	return `${type}://${user}${host}${port}${database}`;
}
