import {
	type ChangeEvent,
	type ChangeLog,
	type ChangeRequest,
	type ChangeStream,
	type Finding,
	type Grant,
	HeadraceError,
	type LogHeadroom,
	type SourceTable,
	type TableName,
	type TypePolicy,
} from "../../../core/index.ts";
import { readCatalog } from "../catalog.ts";
import type { MysqlConnection } from "../connection.ts";
import { describeTable } from "../describe.ts";
import { placeTakesProcess } from "../log-place.ts";
import { Charsets } from "./charsets.ts";
import { Dump, type DumpStart } from "./dump.ts";
import type { DescribedTable, Dictionary, KnownUntil, LoggedStatement } from "./followed-table.ts";
import { FollowedTables } from "./followed-tables.ts";
import { MysqlGtids, parseGtids } from "./gtid.ts";
import { checkLog, logRights } from "./log-check.ts";
import { logEnd, logFiles, retentionSeconds, serverName } from "./log-files.ts";
import { LogReader } from "./log-reader.ts";
import {
	comparePlaces,
	decodeLogPosition,
	encodeLogPosition,
	FIRST_OFFSET,
	formatLogPosition,
	type LogPosition,
} from "./position.ts";
import { type StatementScan, scanStatements } from "./statement-scan.ts";
import { LogStream, stopped } from "./stream.ts";

/** What the log needs of its source. */
export interface LogConnections {
	/** A short question, on the source's own connection. */
	ask<T>(question: (connection: MysqlConnection) => Promise<T>): Promise<T>;
	/** A connection of one's own. */
	open(): Promise<MysqlConnection>;
}

/** The binary log of a MySQL or MariaDB server. */
export class MysqlChangeLog implements ChangeLog {
	readonly #connections: LogConnections;
	#charsets: Promise<Charsets> | null = null;

	constructor(connections: LogConnections) {
		this.#connections = connections;
	}

	end(): Promise<string> {
		return this.#connections.ask(async (connection) => encodeLogPosition(await logEnd(connection)));
	}

	beginning(): Promise<string> {
		return this.#connections.ask(async (connection) => {
			await logEnd(connection);
			const [first] = await logFiles(connection);
			return encodeLogPosition({ file: first!.name, offset: FIRST_OFFSET, server: await serverName(connection) });
		});
	}

	compare(a: string, b: string): number {
		const [first, second] = [decodeLogPosition(a), decodeLogPosition(b)];
		if (first.file !== "" && second.file !== "" && (first.server ?? "") === (second.server ?? first.server ?? ""))
			return comparePlaces(first, second);
		const flavour = [first, second].some(({ gtid }) => gtid?.includes(":")) ? "mysql" : "mariadb";
		const [x, y] = [parseGtids(first.gtid ?? "", flavour), parseGtids(second.gtid ?? "", flavour)];
		const [hasAll, isIn] = [x.contains(y), y.contains(x)];
		if (hasAll && isIn) return 0;
		return hasAll ? 1 : -1;
	}

	format(position: string): string {
		return formatLogPosition(decodeLogPosition(position));
	}

	parse(text: string): string {
		return encodeLogPosition(decodeLogPosition(text));
	}

	async open(request: ChangeRequest): Promise<ChangeStream> {
		const connection = await this.#connections.open();
		try {
			return await this.#open(connection, request);
		} catch (error) {
			connection.destroy();
			throw error;
		}
	}

	async #open(connection: MysqlConnection, request: ChangeRequest): Promise<ChangeStream> {
		const { flavour, foldsNames } = connection.server;
		const server = await serverName(connection);
		const from = await resolve(connection, decodeLogPosition(request.from), server);
		const emitted: ChangeEvent[] = [];
		const emit = (event: ChangeEvent) => {
			emitted.push(event);
		};
		const dictionary = await this.#dictionary(request);
		const { before, canReadAnew } = request;
		const tables = await FollowedTables.of(request.tables, request.types, dictionary, {
			folds: foldsNames,
			before,
			...(canReadAnew === undefined ? {} : { canReadAnew }),
			emit,
			knownUntil: (name) => {
				const known = request.knownUntil?.(name);
				return known === undefined ? null : knownOn(decodeLogPosition(known), server);
			},
		});
		const start: DumpStart =
			from.file === "" ? { gtids: parseGtids(from.gtid ?? "", flavour) } : (from.prepared ?? startOf(from));
		const checksums = await hasChecksums(connection);
		const dump = await Dump.open(connection, start, { reader: request.reader });
		const reader = new LogReader({
			flavour,
			tables,
			from,
			server,
			checksums,
			flush: request.flush,
			emit,
		});
		dump.reuseAfter(() => tables.settle());
		const { until, signal } = request;
		return new LogStream({
			dump,
			reader,
			emitted,
			flavour,
			abandon: () => {
				tables.abandon();
				reader.close();
			},
			kill: (threadId) => this.#kill(threadId),
			...(until === undefined ? {} : { until }),
			...(signal === undefined ? {} : { signal }),
		});
	}

	async #dictionary({ reader, signal }: ChangeRequest): Promise<Dictionary> {
		const { ask } = this.#connections;
		this.#charsets ??= ask((connection) => Charsets.read(connection));
		const charsets = await this.#charsets;
		return {
			charsets,
			describe: (tables) => ask((connection) => describeFollowed(connection, tables)),
			loadCharset: (name) => ask((connection) => charsets.load(connection, name)),
			end: () => ask(logEnd),
			statements: (from, until, isWanted) =>
				this.#statements({ from, until, isWanted, reader: `${reader}:statements` }, signal),
		};
	}

	/** Reads a part of the log a second time, for its statements alone. */
	async #statements(
		{ from, until, isWanted, reader }: Pick<StatementScan, "from" | "until" | "isWanted"> & { readonly reader: string },
		signal: AbortSignal | undefined,
	): Promise<readonly LoggedStatement[]> {
		if (comparePlaces(from, until) >= 0) return [];
		const connection = await this.#connections.open();
		const { flavour } = connection.server;
		try {
			const checksums = await hasChecksums(connection);
			const dump = await Dump.open(connection, from, { reader });
			const abort = () => dump.interrupt(stopped(signal));
			signal?.addEventListener("abort", abort, { once: true });
			try {
				if (signal?.aborted) throw stopped(signal);
				return await scanStatements({ dump, flavour, from, until, checksums, isWanted });
			} finally {
				signal?.removeEventListener("abort", abort);
				dump.close();
				await this.#kill(dump.threadId).catch(() => undefined);
			}
		} catch (error) {
			connection.destroy();
			throw error;
		}
	}

	/** Ends the session of a dump at the server, which would notice its end only with the next event. */
	async #kill(threadId: number): Promise<void> {
		await this.#connections.ask((connection) => connection.rows(`KILL ${threadId}`));
	}

	headroom(from: string): Promise<LogHeadroom> {
		return this.#connections.ask(async (connection) => {
			const end = await logEnd(connection);
			const files = await logFiles(connection);
			const position = decodeLogPosition(from);
			const { file, offset } = position;
			const ahead = files.filter(({ name }) => comparePlaces({ file: name, offset: 0 }, { file, offset: 0 }) >= 0);
			const bytesBehind = ahead.reduce((sum, { name, bytes }) => sum + bytes - (name === file ? offset : 0), 0);
			return {
				end: encodeLogPosition(end),
				bytesBehind: Math.max(0, bytesBehind),
				...(await timeLeft(connection, position, files.at(-1)?.name)),
			};
		});
	}

	check(tables: readonly SourceTable[]): Promise<Finding[]> {
		return this.#connections.ask((connection) => checkLog(connection, tables));
	}

	grants(): Promise<Grant[]> {
		return this.#connections.ask(async (connection) => {
			const rights = `${logRights(connection)}${(await placeTakesProcess(connection)) ? ", PROCESS" : ""}`;
			return [
				{
					title: "the change log of the whole server, which has no rights by table",
					language: "sql",
					text: `GRANT ${rights} ON *.* TO ${connection.server.account};`,
				},
			];
		});
	}
}

/** What a position says on this server; null when nothing. MariaDB's GTIDs tell no place among those of other domains. */
function knownOn({ file, offset, gtid, ...known }: LogPosition, server: string): KnownUntil | null {
	if (file !== "" && (known.server === undefined || known.server === server)) return { file, offset };
	const gtids = gtid?.includes(":") ? parseGtids(gtid, "mysql") : null;
	return gtids instanceof MysqlGtids ? { gtids } : null;
}

async function hasChecksums(connection: MysqlConnection): Promise<boolean> {
	const [row] = await connection.rows("SELECT @@global.binlog_checksum");
	return row?.[0] !== "NONE";
}

/** The event before the position comes first, as proof. */
function startOf(from: LogPosition): { file: string; offset: number } {
	return { file: from.file, offset: from.last?.start ?? from.offset };
}

async function describeFollowed(
	connection: MysqlConnection,
	tables: readonly { name: TableName; types: TypePolicy }[],
): Promise<{ tables: (DescribedTable | null)[]; at: LogPosition }> {
	const catalog = await readCatalog(
		connection,
		tables.map(({ name }) => name),
	);
	const described = tables.map(({ name, types }) => {
		const found = catalog.get(name);
		return found === undefined || found.isView
			? null
			: { table: describeTable(connection, found, types), catalog: found };
	});
	// Whatever the catalog shows is in the log before this place.
	return { tables: described, at: await logEnd(connection) };
}

/** At least so long: when a file was closed is not told, only when it was begun. */
async function timeLeft(
	connection: MysqlConnection,
	{ file, created }: LogPosition,
	newest: string | undefined,
): Promise<{ secondsLeft?: number }> {
	const seconds = await retentionSeconds(connection);
	if (seconds === 0) return {};
	if (file === newest) return { secondsLeft: seconds };
	if (created === undefined) return {};
	const [row] = await connection.rows("SELECT UNIX_TIMESTAMP()");
	return { secondsLeft: Math.max(0, created + seconds - Number(row?.[0] ?? 0)) };
}

/**
 * Where to begin on this server: at the file and offset while it is the server that the position is of, else by the
 * GTIDs, once it is proved that this server has what was read.
 * @throws E_HISTORY_GONE, E_HISTORY_MISMATCH, E_ERRANT
 */
async function resolve(connection: MysqlConnection, from: LogPosition, server: string): Promise<LogPosition> {
	await logEnd(connection);
	const isSameServer = from.server === undefined || from.server === server;
	if (from.file !== "" && isSameServer) {
		const file = (await logFiles(connection)).find(({ name }) => name === from.file);
		if (file === undefined)
			throw new HeadraceError("E_HISTORY_GONE", `the server no longer has ${from.file}, which the position is in`);
		if (from.offset > file.bytes)
			throw new HeadraceError(
				"E_HISTORY_MISMATCH",
				`${from.file} ends before ${from.offset}: it is not the file that was read`,
			);
		return from;
	}
	if (from.gtid === undefined)
		throw new HeadraceError(
			"E_HISTORY_MISMATCH",
			"the position is of another server, and without GTIDs its place on this one can't be found",
		);
	await proveGtids(connection, from.gtid);
	return { file: "", offset: FIRST_OFFSET, gtid: from.gtid };
}

async function proveGtids(connection: MysqlConnection, gtid: string): Promise<void> {
	const { flavour } = connection.server;
	const read = parseGtids(gtid, flavour);
	const ask = async (expression: string) =>
		parseGtids((await connection.rows(`SELECT ${expression}`))[0]?.[0]?.replaceAll(/\s/g, "") ?? "", flavour);
	const has = await ask(flavour === "mariadb" ? "@@global.gtid_binlog_state" : "@@global.gtid_executed");
	if (!has.contains(read))
		throw new HeadraceError("E_ERRANT", "this server lacks transactions that were read from the one before it");
	if (flavour === "mariadb") return;
	const purged = await ask("@@global.gtid_purged");
	if (!read.contains(purged))
		throw new HeadraceError("E_HISTORY_GONE", "this server has purged transactions that were not read yet");
}
