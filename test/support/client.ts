/** Plain query helpers for tests: every value is read as the server's own text, so no driver changes it on the way. */
import { readFileSync } from "node:fs";
import mysql from "mysql2/promise";
import pg from "pg";

/** A row: the server's text of each value, bytes as `\x…` hex on every server, NULL as null. */
export type Row = Record<string, string | null>;

export interface Login {
	readonly kind: "mariadb" | "mysql" | "postgres";
	readonly host: string;
	readonly port: number;
	readonly user: string;
	readonly password: string;
	/** The authority's certificate when the server speaks TLS. */
	readonly ca?: string;
	/** The server refuses connections without TLS. */
	readonly tlsRequired?: boolean;
	/** Its certificate is made out to other names than 127.0.0.1 and localhost. */
	readonly otherName?: boolean;
}

export interface ClientOptions {
	readonly user?: string;
	readonly password?: string;
	/** Connect over TLS, verified against the server's own authority; default: only when the server demands it. */
	readonly tls?: boolean;
	/** Check the name in the certificate too; default: unless the server was started with other names. */
	readonly verifyName?: boolean;
	/** MySQL's Unix socket, in place of host and port. */
	readonly socketPath?: string;
}

export interface TextClient extends AsyncDisposable {
	/** Runs one or several statements; gives the rows of the last one. Parameters: `?` for MySQL, `$1` for Postgres. */
	query(sql: string, parameters?: readonly unknown[]): Promise<Row[]>;
	/** As query, each row as an array in column order. */
	arrays(sql: string, parameters?: readonly unknown[]): Promise<(string | null)[][]>;
	close(): Promise<void>;
}

interface Answer {
	readonly names: readonly string[];
	readonly rows: (string | null)[][];
}

function textClient(
	ask: (sql: string, parameters: readonly unknown[] | undefined) => Promise<Answer>,
	close: () => Promise<void>,
): TextClient {
	return {
		async query(sql, parameters) {
			const { names, rows } = await ask(sql, parameters);
			return rows.map((row) => Object.fromEntries(names.map((name, index) => [name, row[index] ?? null])));
		},
		async arrays(sql, parameters) {
			return (await ask(sql, parameters)).rows;
		},
		close,
		[Symbol.asyncDispose]: close,
	};
}

const authority = (login: Login, tls: boolean | undefined): string | undefined => {
	if (!(tls ?? login.tlsRequired ?? false)) return undefined;
	if (login.ca === undefined) throw new Error(`${login.kind} was started without TLS`);
	return readFileSync(login.ca, "utf8");
};

const verifiesName = (login: Login, options: ClientOptions): boolean => options.verifyName ?? login.otherName !== true;

/** Field types of the MySQL protocol that hold bytes when their character set is 63 (binary); numbers and dates carry 63 too. */
const BYTE_TYPES = new Set([15, 16, 249, 250, 251, 252, 253, 254, 255]);

/** A MySQL or MariaDB connection in UTC and utf8mb4. */
export async function mysqlClient(login: Login, database?: string, options: ClientOptions = {}): Promise<TextClient> {
	const ca = authority(login, options.tls);
	const connection = await mysql.createConnection({
		...(options.socketPath === undefined ? { host: login.host, port: login.port } : { socketPath: options.socketPath }),
		user: options.user ?? login.user,
		password: options.password ?? login.password,
		...(database === undefined ? {} : { database }),
		...(ca === undefined ? {} : { ssl: { ca, verifyIdentity: verifiesName(login, options) } }),
		charset: "utf8mb4",
		multipleStatements: true,
		timezone: "Z",
		connectTimeout: 10_000,
	});
	// A killed server is an event of the connection too; the query that was under way reports it.
	connection.on("error", () => {});
	await connection.query("set time_zone = '+00:00'");
	const ask = async (sql: string, parameters: readonly unknown[] | undefined): Promise<Answer> => {
		const [result, fields] = await connection.query({
			sql,
			...(parameters === undefined ? {} : { values: [...parameters] }),
			rowsAsArray: true,
			typeCast: (field: { buffer(): Buffer | null }) => field.buffer(),
		});
		const several = Array.isArray(fields) && fields.some((field) => field === undefined || Array.isArray(field));
		const rows = several ? (result as unknown[]).at(-1) : result;
		const columns = (several ? (fields as unknown[]).at(-1) : fields) as mysql.FieldPacket[] | undefined;
		if (!Array.isArray(rows) || columns === undefined) return { names: [], rows: [] };
		const asHex = columns.map((column) => {
			const type = column.columnType ?? -1;
			return type === 16 || (BYTE_TYPES.has(type) && column.characterSet === 63);
		});
		return {
			names: columns.map((column) => column.name),
			rows: (rows as (Buffer | null)[][]).map((row) =>
				row.map((value, index) =>
					value === null ? null : asHex[index] ? `\\x${value.toString("hex")}` : value.toString("utf8"),
				),
			),
		};
	};
	return textClient(ask, async () => connection.destroy());
}

/** A Postgres connection in UTC with ISO dates. */
export async function pgClient(login: Login, database = "postgres", options: ClientOptions = {}): Promise<TextClient> {
	const ca = authority(login, options.tls);
	const client = new pg.Client({
		host: login.host,
		port: login.port,
		user: options.user ?? login.user,
		password: options.password ?? login.password,
		database,
		ssl:
			ca === undefined
				? false
				: { ca, ...(verifiesName(login, options) ? {} : { checkServerIdentity: () => undefined }) },
		connectionTimeoutMillis: 10_000,
		options: "-c timezone=UTC -c datestyle=ISO -c extra_float_digits=3 -c bytea_output=hex",
		types: { getTypeParser: () => (value: string) => value },
	});
	client.on("error", () => {});
	await client.connect();
	const ask = async (sql: string, parameters: readonly unknown[] | undefined): Promise<Answer> => {
		const answer: pg.QueryArrayResult | pg.QueryArrayResult[] = await client.query({
			text: sql,
			...(parameters === undefined ? {} : { values: [...parameters] }),
			rowMode: "array",
		});
		const last = Array.isArray(answer) ? answer.at(-1) : answer;
		if (last === undefined) return { names: [], rows: [] };
		return {
			names: (last.fields ?? []).map((field: pg.FieldDef) => field.name),
			rows: last.rows as (string | null)[][],
		};
	};
	return textClient(ask, () => client.end());
}

/** The client that fits the server. */
export function openClient(login: Login, database?: string, options?: ClientOptions): Promise<TextClient> {
	return login.kind === "postgres" ? pgClient(login, database, options) : mysqlClient(login, database, options);
}
