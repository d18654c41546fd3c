import { readFileSync } from "node:fs";
import { isIP, Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { HeadraceError, type TableName } from "../../core/index.ts";
import { type Driver, type DriverConnection, type FieldPacket, loadDriver, type RowReceiver } from "./driver.ts";
import { type ErrorContext, endsSession, translateError } from "./errors.ts";
import { isLoopback, type MysqlOptions, tlsMode } from "./options.ts";
import { PacketSocket } from "./packet-socket.ts";
import { rowText } from "./row-text.ts";
import { atLeast, parseVersion, type ServerInfo, sessionSettings } from "./server.ts";

/** TCP, TLS and login together. */
const CONNECT_TIMEOUT_MS = 15_000;
const CLOSE_TIMEOUT_MS = 2_000;
/** A peer that vanished is noticed after this long and some ten probes, a second apart. */
const KEEP_ALIVE_MS = 30_000;
/** The protocol's own bound of a row is 1 GiB (max_allowed_packet); a server that sends more without an end is not one. */
const ROW_BYTES_MAX = (1 << 30) + (64 << 20);

export type TextRow = (string | null)[];

/** A statement that is under way. */
export interface RunningStatement {
	/** Settles when the server has answered to the end; never rejects. */
	readonly ended: Promise<HeadraceError | null>;
	/** Whether the server has answered to the end. */
	readonly isOver: boolean;
}

/** One session with the settings of `sessionSettings`. Statements wait for each other. */
export class MysqlConnection {
	readonly server: ServerInfo;
	/** The server's id of this session, for KILL. */
	readonly threadId: number;
	readonly #driver: Driver;
	readonly #connection: DriverConnection;
	readonly #context: ErrorContext;
	#lost: HeadraceError | null = null;
	#closed = false;
	#bytesWithoutRow = 0;
	/** Of the statement whose rows come. */
	#flush: (() => void) | null = null;
	readonly #unfinished = new Set<(error: HeadraceError | null) => void>();

	private constructor(driver: Driver, connection: DriverConnection, context: ErrorContext, server: ServerInfo) {
		this.#driver = driver;
		this.#connection = connection;
		this.server = server;
		this.#context = { ...context, account: server.account, phase: "work" };
		this.threadId = connection.threadId ?? 0;
		connection.on("error", (error) => {
			this.#lost ??= this.translate(error);
		});
		connection.stream.on("close", () => {
			const closed = Object.assign(new Error("the server closed it"), { code: "PROTOCOL_CONNECTION_LOST" });
			this.#lost ??= this.translate(closed);
			for (const end of this.#unfinished) end(this.#lost);
		});
		connection.stream.on("data", (chunk: Buffer) => {
			this.#bytesWithoutRow += chunk.length;
			if (this.#bytesWithoutRow > ROW_BYTES_MAX) {
				this.#lost ??= new HeadraceError("E_TOO_LARGE", `${context.address} sends a row of over 1 GiB`);
				this.destroy();
			}
			// mysql2, which listens too and before, has handed over the rows in it.
			this.#flush?.();
		});
	}

	/** @throws E_CONNECT, E_LOGIN, E_TLS, E_UNSUPPORTED */
	static async open(options: MysqlOptions): Promise<MysqlConnection> {
		const driver = await loadDriver();
		const context: ErrorContext = {
			address: `${options.host}:${options.port}`,
			phase: "connect",
			...(options.user === undefined ? {} : { user: options.user }),
			...(options.database === undefined ? {} : { database: options.database }),
			...(options.passwordReference === undefined ? {} : { passwordReference: options.passwordReference }),
		};
		const tls = tlsMode(options);
		const connection = driver.createConnection({
			host: options.host,
			port: options.port,
			user: options.user,
			password: options.password?.reveal(),
			database: options.database,
			stream: () => openSocket(options, tls),
			connectTimeout: CONNECT_TIMEOUT_MS,
			charset: "utf8mb4",
			flags: ["-LOCAL_FILES"],
			disableEval: true,
			...(tls === "off" ? {} : { ssl: tlsOptions(options) }),
			...(tls === "off" && !isLoopback(options.host) ? { authPlugins: driver.cautiousLogins } : {}),
		});
		try {
			connection.on("error", () => {});
			await new Promise<void>((resolve, reject) => {
				connection.connect((error) => (error === null ? resolve() : reject(error)));
			});
			return new MysqlConnection(driver, connection, context, await prepareSession(driver, connection, context));
		} catch (error) {
			const isSilent = (error as { code?: unknown }).code === "ETIMEDOUT" && connection.stream.readyState === "open";
			connection.stream.destroy();
			throw translateError(error, isSilent ? { ...context, isSilent } : context);
		}
	}

	/** Why nothing can be asked any more; null while it works. */
	get lost(): HeadraceError | null {
		return this.#lost ?? (this.#closed ? new HeadraceError("E_CONNECTION_LOST", "the connection was closed") : null);
	}

	translate(error: unknown, table?: TableName): HeadraceError {
		return translateError(error, table === undefined ? this.#context : { ...this.#context, table });
	}

	/** Runs a statement whose answer is small; NULL is null, every other value the server's text. */
	async rows(sql: string, table?: TableName): Promise<TextRow[]> {
		return (await this.answer(sql, table)).rows;
	}

	async answer(sql: string, table?: TableName): Promise<{ fields: readonly FieldPacket[]; rows: TextRow[] }> {
		let fields: readonly FieldPacket[] = [];
		const rows: TextRow[] = [];
		const statement = this.stream(
			sql,
			{
				fields: (found) => {
					fields = found;
				},
				row: (buffer, start, end) => rows.push(rowText(buffer, start, end)),
			},
			table,
		);
		const error = await statement.ended;
		if (error !== null) throw error;
		return { fields, rows };
	}

	/** Runs a statement and hands its rows over as they come. After a `row` that throws, no more are handed over. */
	stream(sql: string, receiver: Omit<RowReceiver, "done">, table?: TableName): RunningStatement {
		const { promise, resolve } = Promise.withResolvers<HeadraceError | null>();
		const running = { ended: promise, isOver: false };
		const over = (error: HeadraceError | null) => {
			this.#unfinished.delete(over);
			running.isOver = true;
			resolve(error);
		};
		if (this.lost !== null) {
			over(this.lost);
			return running;
		}
		this.#unfinished.add(over);
		let broken: HeadraceError | null = null;
		this.#bytesWithoutRow = 0;
		this.#driver.rawQuery(this.#connection, sql, {
			fields: (fields) => {
				receiver.fields(fields);
				this.#readRows(() => {
					if (broken !== null) return;
					try {
						receiver.flush?.();
					} catch (error) {
						broken = this.translate(error, table);
					}
				});
			},
			row: (buffer, start, end) => {
				this.#bytesWithoutRow = 0;
				if (broken !== null) return;
				try {
					receiver.row(buffer, start, end);
				} catch (error) {
					broken = this.translate(error, table);
				}
			},
			done: (error) => {
				this.#readRows(null);
				if (error === null) over(broken);
				else over(broken ?? this.#failure(error, table));
			},
		});
		return running;
	}

	/** mysql2 keeps packets of other kinds, so that its reader's buffer can be used again for rows only. */
	#readRows(flush: (() => void) | null): void {
		this.#flush = flush;
		const { stream } = this.#connection;
		if (stream instanceof PacketSocket) stream.reuse = flush !== null;
	}

	/** A statement's error; one that ends the session is remembered, since the socket's end may be noticed later. */
	#failure(error: Error, table: TableName | undefined): HeadraceError {
		if (this.#lost !== null) return this.#lost;
		const translated = this.translate(error, table);
		if ((error as { fatal?: boolean }).fatal || endsSession(error)) this.#lost = translated;
		return translated;
	}

	pause(): void {
		this.#connection.stream.pause();
	}

	resume(): void {
		this.#connection.stream.resume();
	}

	/**
	 * The connection's socket, for a protocol that is not statements: the caller alone reads and writes it from now on,
	 * and ends it by `destroy`.
	 */
	takeOver(): Socket {
		if (this.lost !== null) throw this.lost;
		const { stream } = this.#connection;
		stream.removeAllListeners("data");
		if (stream instanceof PacketSocket) stream.reuse = false;
		return stream;
	}

	/** Says goodbye to the server; a server that does not answer is left. */
	async close(): Promise<void> {
		if (this.#closed) return;
		this.#closed = true;
		const { stream } = this.#connection;
		if (stream.destroyed) return;
		const { promise, resolve } = Promise.withResolvers<void>();
		stream.once("close", resolve);
		const timer = setTimeout(() => stream.destroy(), CLOSE_TIMEOUT_MS);
		stream.resume();
		this.#connection.end(() => stream.end());
		await promise;
		clearTimeout(timer);
	}

	/** Cuts the connection; the server notices and ends what it does for us. */
	destroy(): void {
		this.#closed = true;
		this.#connection.stream.destroy();
	}
}

function openSocket(options: MysqlOptions, tls: ReturnType<typeof tlsMode>): Socket {
	const socket = tls === "off" ? new PacketSocket() : new Socket();
	socket.connect({ host: options.host, port: options.port });
	socket.setNoDelay(true);
	socket.setKeepAlive(true, KEEP_ALIVE_MS);
	// Node verifies the certificate of a socket that is handed to TLS against this name; for an address it sets none
	// and would verify against "localhost".
	if (isIP(options.host) !== 0) Object.assign(socket, { _host: options.host });
	return socket;
}

function tlsOptions(options: MysqlOptions): Record<string, unknown> {
	const verify = tlsMode(options) === "verify";
	let ca: string | undefined;
	if (options.ca !== undefined)
		try {
			ca = readFileSync(options.ca, "utf8");
		} catch (cause) {
			throw new HeadraceError("E_FILE_NOT_FOUND", `the CA certificate ${options.ca} can't be read`, { cause });
		}
	return {
		minVersion: "TLSv1.2",
		rejectUnauthorized: verify,
		verifyIdentity: verify,
		...(ca === undefined ? {} : { ca }),
	};
}

/** Learns what the server is and puts the session into the state that every read relies on. */
async function prepareSession(
	driver: Driver,
	connection: DriverConnection,
	context: ErrorContext,
): Promise<ServerInfo> {
	const ask = (sql: string) =>
		new Promise<TextRow[]>((resolve, reject) => {
			const rows: TextRow[] = [];
			driver.rawQuery(connection, sql, {
				fields: () => {},
				row: (buffer, start, end) => rows.push(rowText(buffer, start, end)),
				done: (error) => (error === null ? resolve(rows) : reject(error)),
			});
		});
	const [row = []] = await ask("SELECT VERSION(), CURRENT_USER(), @@session.sql_mode, @@lower_case_table_names");
	const [versionText, login, sqlMode, folding] = row.map((value) => value ?? "") as [string, string, string, string];
	const at = login.lastIndexOf("@");
	const server: ServerInfo = {
		...parseVersion(versionText),
		versionText,
		account: `'${login.slice(0, at)}'@'${login.slice(at + 1)}'`,
		tls: connection.stream instanceof TLSSocket ? connection.stream.getProtocol() : null,
		foldsNames: folding !== "0",
	};
	const mariadb = server.flavour === "mariadb";
	if (mariadb ? !atLeast(server, 10, 5) : !atLeast(server, 5, 6))
		throw new HeadraceError(
			"E_UNSUPPORTED",
			`${context.address} is ${versionText}; the oldest supported is ${mariadb ? "MariaDB 10.5" : "MySQL 5.6"}`,
		);
	for (const statement of sessionSettings(server, sqlMode)) await ask(statement);
	return server;
}
