import { type ErrorPlace, HeadraceError, HeadraceErrors } from "../core/errors.ts";
import { checkConnection, type RawField } from "./connection.ts";
import { CONNECTION_TYPES, SCHEMES } from "./connection-types.ts";
import type { Connection, ConnectionType } from "./pipeline.ts";
import {
	type Env,
	type PlaceWithin,
	placeOfReference,
	type Reference,
	referenceValue,
	splitReferences,
} from "./references.ts";
import { didYouMean } from "./suggest.ts";

export interface AddressOptions {
	/** When given, `${env:X}` and `${file:path}` in the address are resolved. */
	readonly env?: Env;
	/** Name of the connection; default its database, bucket or file. */
	readonly name?: string;
	readonly place?: ErrorPlace;
	/** Where a part of the address is written. */
	readonly placeWithin?: PlaceWithin;
	/** The reference that the whole address came from. */
	readonly origin?: string | undefined;
}

/** Stand for references while the address is taken apart, so that a value can't change its structure. */
const MARK_OPEN = "\uE000";
const MARK_CLOSE = "\uE001";

const SCHEME_LIST =
	"mysql://, postgres://, sqlserver://, redshift://, snowflake://, s3://, lake:, duckdb:, kinesis://, file:, or a path";

/**
 * Reads an address: `mysql://user:pw@host:port/db?tls=off`, `postgres://…`, `duckdb:path`, `s3://bucket/prefix`,
 * `lake:path`, `file:path`, or a path. User, password, database and options are percent-decoded; values of references
 * are taken as they are. Relative paths start at `baseDirectory`.
 * @throws HeadraceErrors, HeadraceError: E_INVALID_VALUE, E_UNKNOWN_KEY, E_MISSING_VARIABLE
 */
export function parseAddress(text: string, baseDirectory: string, options: AddressOptions = {}): Connection {
	return new AddressReader(text, baseDirectory, options).read();
}

/** Whether the text can only be an address or path, not the name of a connection. */
export function looksLikeAddress(text: string): boolean {
	return /[:/\\.~*?]/.test(text);
}

class AddressReader {
	readonly #references: Reference[] = [];
	readonly #fields = new Map<string, RawField>();
	readonly #text: string;
	readonly #written: string;
	readonly #directory: string;
	readonly #options: AddressOptions;
	readonly #place: ErrorPlace;

	constructor(text: string, directory: string, options: AddressOptions) {
		this.#directory = directory;
		this.#options = options;
		this.#written = text;
		this.#place = options.place ?? {};
		const plain = text.trim().replaceAll(/[\uE000\uE001]/g, "");
		this.#text =
			options.env === undefined
				? plain
				: splitReferences(plain, this.#place)
						.map((part) => (typeof part === "string" ? part : this.#mark(part)))
						.join("");
	}

	read(): Connection {
		if (this.#text === "") throw this.#invalid("an address is empty");
		if (/[\0\n\r]/.test(this.#text)) throw this.#invalid("an address has a line break or NUL character");
		const [, scheme, rest] = /^([A-Za-z][A-Za-z0-9+.-]+):(.*)$/.exec(this.#text) ?? [];
		if (scheme === undefined) return this.#path(this.#text);
		const type = Object.hasOwn(SCHEMES, scheme.toLowerCase()) ? SCHEMES[scheme.toLowerCase()] : undefined;
		if (type === undefined) throw this.#unknownScheme(scheme);
		if (type === "duckdb" || type === "file") return this.#path(rest!.replace(/^\/\/(?=.)/, ""), type);
		if (type === "lake") return this.#lake(rest!);
		if (!rest!.startsWith("//")) throw this.#invalid(`a ${type} address is written ${CONNECTION_TYPES[type].example}`);
		if (type === "s3" || type === "kinesis") return this.#bucket(rest!.slice(2), type);
		return this.#server(rest!.slice(2), type);
	}

	#mark(reference: Reference): string {
		return `${MARK_OPEN}${this.#references.push(reference) - 1}${MARK_CLOSE}`;
	}

	#invalid(message: string, hint?: string): HeadraceError {
		return new HeadraceError("E_INVALID_VALUE", message, { ...this.#place, ...(hint !== undefined && { hint }) });
	}

	#unknownScheme(scheme: string): HeadraceError {
		const known = Object.keys(SCHEMES);
		const word = scheme.toLowerCase();
		const wrapped = /^jdbc:([a-z0-9]+):/i.exec(this.#text)?.[1]?.toLowerCase();
		const driver = /^([a-z]+)\+/.exec(word)?.[1];
		const meant =
			[wrapped, driver].find((each) => each !== undefined && known.includes(each)) ??
			{ psql: "postgres", pg: "postgres", pgsql: "postgres", tsql: "sqlserver", s3a: "s3", s3n: "s3" }[word];
		const suggestion = meant === undefined ? didYouMean(word, known) : `; did you mean ${JSON.stringify(meant)}?`;
		return this.#invalid(`unknown scheme ${JSON.stringify(`${scheme}:`)} of an address${suggestion}`, SCHEME_LIST);
	}

	/** Puts a component into a field: percent-decoded, then its references replaced. */
	#set(key: string, text: string | undefined, decode = true): void {
		if (text === undefined || text === "") return;
		const origins: string[] = [];
		const scope = { env: this.#options.env ?? {}, directory: this.#directory };
		const parts = text.split(/\uE000(\d+)\uE001/).map((part, index) => {
			// Every second part is the number of a reference.
			if (index % 2 === 0) return decode ? this.#decoded(key, part) : part;
			const reference = this.#references[Number(part)]!;
			origins.push(reference.text);
			const { placeWithin } = this.#options;
			const place = placeWithin === undefined ? this.#place : placeOfReference(this.#written, reference, placeWithin);
			return referenceValue(reference, scope, place);
		});
		const origin = origins.length > 0 ? origins.join(", ") : this.#options.origin;
		this.#fields.set(key, { value: parts.join(""), origin, keyPlace: this.#place, valuePlace: this.#place });
	}

	#decoded(key: string, text: string): string {
		try {
			return decodeURIComponent(text);
		} catch {
			throw this.#invalid(`the ${key} of an address has a % that is no percent-encoding; write %25 for %`);
		}
	}

	#finish(type: ConnectionType): Connection {
		return checkConnection({
			...(this.#options.name !== undefined && { name: this.#options.name }),
			type,
			fields: this.#fields,
			directory: this.#directory,
			place: this.#place,
		});
	}

	#path(text: string, type?: "duckdb" | "file"): Connection {
		const format = type === "duckdb" ? null : /\?format=(\w+)$/.exec(text);
		const path = format === null ? text : text.slice(0, format.index);
		if (path === "") throw this.#invalid("an address has no path");
		this.#set("path", path, false);
		this.#set("format", format?.[1]);
		return this.#finish(type ?? (/\.(?:duckdb|ddb)$/i.test(path) ? "duckdb" : "file"));
	}

	#lake(rest: string): Connection {
		if (rest.startsWith("s3://")) return this.#bucket(rest.slice(5), "lake");
		const [path, query] = splitOnce(rest.replace(/^\/\/(?=.)/, ""), "?");
		if (path === "") throw this.#invalid("an address has no path");
		this.#set("path", path, false);
		this.#query(query);
		return this.#finish("lake");
	}

	#bucket(rest: string, type: "s3" | "lake" | "kinesis"): Connection {
		const [address, query] = splitOnce(rest, "?");
		const [bucket, prefix] = splitOnce(address, "/");
		this.#set(type === "kinesis" ? "stream" : "bucket", bucket);
		if (type !== "kinesis") this.#set("prefix", prefix);
		this.#query(query);
		return this.#finish(type);
	}

	#server(rest: string, type: ConnectionType): Connection {
		const end = rest.search(/[/?]/);
		const authority = end < 0 ? rest : rest.slice(0, end);
		const [path, query] = splitOnce(end < 0 ? "" : rest.slice(end), "?");
		const at = authority.lastIndexOf("@");
		if (/#/.test(rest) || (path.includes("@") && at < 0))
			throw this.#invalid(
				"the address can't be taken apart: a user or password has a character that ends it",
				"Percent-encode it (/ is %2F, @ is %40, # is %23, ? is %3F), or take it from ${env:NAME}.",
			);
		if (at >= 0) {
			const [user, password] = splitOnce(authority.slice(0, at), ":");
			this.#set("user", user);
			this.#set("password", password);
		}
		const host = authority.slice(at + 1);
		const [, name, port] = /^(\[[^\]]*\]|[^:]*)(?::([^:]*))?$/.exec(host) ?? [];
		if (name === undefined) throw this.#invalid("the host of an address has more than one colon; write IPv6 as [::1]");
		this.#set(type === "snowflake" ? "account" : "host", name);
		this.#set("port", port);
		const [database, schema, more] = path.replace(/^\//, "").split("/");
		if (more !== undefined || (schema !== undefined && schema !== "" && type !== "snowflake"))
			throw this.#invalid(`the path of a ${type} address is the database; write %2F for a slash in its name`);
		this.#set("database", database);
		this.#set("schema", schema);
		this.#query(query);
		return this.#finish(type);
	}

	#query(query: string | undefined): void {
		for (const item of query?.split("&") ?? []) {
			if (item === "") continue;
			const [key, value] = splitOnce(item, "=");
			if (value === undefined) throw this.#invalid(`an option of an address is written ?${key.slice(0, 40)}=value`);
			if (this.#fields.has(key)) throw this.#invalid(`an address gives ${key.slice(0, 40)} twice`);
			this.#set(key, value);
		}
	}
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
	const at = text.indexOf(separator);
	return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)];
}

/**
 * An address as people may see it: the password of a text that may not even be an address is replaced by `***`.
 */
export function redactAddress(text: string): string {
	return text
		.replace(/(:\/\/[^\s:/?#"']*:)[^\s]*(?=@)/g, "$1***")
		.replace(
			/([?&](?:password|private_key|private_key_passphrase|token|secret_access_key|access_key_id)=)[^&\s]*/g,
			"$1***",
		);
}

/** Thrown errors as a list; anything that is not about configuration goes on. */
export function faultsOf(thrown: unknown): readonly HeadraceError[] {
	if (thrown instanceof HeadraceErrors) return thrown.errors;
	if (thrown instanceof HeadraceError) return [thrown];
	throw thrown;
}
