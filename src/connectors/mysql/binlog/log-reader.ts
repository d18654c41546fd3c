import { type ChangeEvent, type ChangeRequest, type ChangeTransaction, HeadraceError } from "../../../core/index.ts";
import {
	EventType,
	type GtidEvent,
	type LogEvent,
	readEvent,
	readFormatDescription,
	readGtid,
	readMariadbGtid,
	readQuery,
	readTaggedGtid,
} from "./event.ts";
import type { FollowedTable } from "./followed-table.ts";
import type { FollowedTables } from "./followed-tables.ts";
import type { GtidSet } from "./gtid.ts";
import { inflateEvent } from "./inflate.ts";
import { LogCursor } from "./log-cursor.ts";
import { LogRows } from "./log-rows.ts";
import { payloadEvents } from "./payload.ts";
import { encodeLogPosition, type LogPosition } from "./position.ts";
import { rowsForm } from "./rows-event.ts";
import { readStatement, type Statement } from "./statement.ts";
import { TableStatements } from "./table-statements.ts";
import { type PreparedEvents, PreparedTransactions, readXaPrepare } from "./xa.ts";

export interface LogReaderOptions {
	readonly flavour: "mariadb" | "mysql";
	readonly tables: FollowedTables;
	readonly from: LogPosition;
	/** Of the server that is read: see LogPosition.server. */
	readonly server: string;
	/** Whether events carry checksums before the log has said so. */
	readonly checksums: boolean;
	readonly flush: ChangeRequest["flush"];
	/** Takes what the log holds, in its order. */
	readonly emit: (event: ChangeEvent) => void;
}

/** Work that can't be done while the packet is looked at; between its steps what was emitted can be handed on. */
export type Steps = AsyncIterable<void>;

/** Events from one that opens a transaction to the one that ends it. */
interface Group {
	readonly gtid: GtidEvent | null;
	/** Where it begins. */
	readonly file: string;
	readonly offset: number;
	/** Statements in it are part of a transaction: only COMMIT and its kind end it. */
	isTransaction: boolean;
	hasRows: boolean;
	/** Events of an XA transaction, which count only once it is committed. */
	prepared: PreparedEvents | null;
	/** It was read before: see LogCursor.knows. */
	readonly isKnown?: boolean;
}

/**
 * Follows a log event by event: keeps the position, finds where transactions begin and end, and emits rows, changes of
 * tables and boundaries.
 */
export class LogReader {
	readonly #options: LogReaderOptions;
	readonly #logRows: LogRows;
	#checksums: boolean;
	readonly #cursor: LogCursor;
	#group: Group | null = null;
	readonly #prepared = new PreparedTransactions();
	readonly #statements: TableStatements;
	#transactions: ChangeTransaction[] = [];
	#rows = 0;
	#bytes = 0;
	#since: number | null = null;
	#told: string;
	#hasTold = false;

	constructor(options: LogReaderOptions) {
		const { from, flavour } = options;
		this.#options = options;
		this.#logRows = new LogRows({
			...options,
			place: () => this.#cursor.place,
			wanted: (table) => this.#wanted(table),
		});
		this.#checksums = options.checksums;
		this.#cursor = new LogCursor(from, options.server, flavour);
		this.#told = encodeLogPosition(from);
		this.#statements = new TableStatements({
			tables: options.tables,
			emit: options.emit,
			isPassed: () => this.#isPassed,
			place: () => this.#cursor.place,
			wanted: (table) => this.#wanted(table),
			flush: () => this.#logRows.flush(),
			forgetMaps: () => this.#logRows.forgetMaps(),
			changes: () => this.#changes(),
		});
	}

	/** Where the log has been read to. */
	get place(): { readonly file: string; readonly offset: number } {
		return this.#cursor.place;
	}

	get gtids(): GtidSet | null {
		return this.#cursor.gtids;
	}

	/** Whether a position may be taken here: no transaction is open. */
	get isBetween(): boolean {
		return this.#group === null && !this.#cursor.isBehind;
	}

	/** Whether the file's first event has been seen, by which a file of the same name is told from it. */
	get knowsFile(): boolean {
		return this.#logRows.knowsFormat;
	}

	/** Milliseconds until what came since the last boundary has to be handed on; null when nothing came. */
	get dueInMs(): number | null {
		if (this.#since === null) {
			if (!this.isBetween || this.#told === this.#position()) return null;
			this.#since = performance.now();
		}
		return Math.max(0, this.#since + this.#options.flush.seconds * 1000 - performance.now());
	}

	/** Whether what comes was read before: up to the position, or as a transaction that its GTIDs have. */
	get #isPassed(): boolean {
		return this.#cursor.isBehind || this.#group?.isKnown === true;
	}

	/** The table when its changes that lie here are wanted: unless whoever follows it knows them. */
	#wanted(table: FollowedTable | undefined): FollowedTable | undefined {
		const isKnown = table?.isKnown(this.#cursor.place, this.#group?.gtid?.gtid);
		return isKnown || table?.isLost ? undefined : table;
	}

	#position(): string {
		return this.#cursor.position(this.#prepared.oldest);
	}

	/** Hands on what there is, and says that all of it is whole transactions. Only between transactions. */
	boundary(): void {
		const position = this.#position();
		if (this.#hasTold && position === this.#told && this.#transactions.length === 0) return;
		this.#hasTold = true;
		this.#logRows.flush();
		this.#options.emit({ kind: "boundary", position, transactions: this.#transactions });
		this.#told = position;
		this.#transactions = [];
		this.#rows = 0;
		this.#bytes = 0;
		this.#since = null;
	}

	/**
	 * Takes the event of a packet, [start, end) without the packet's own first byte.
	 * @throws E_CORRUPT_EVENT, E_HISTORY_MISMATCH, E_STATEMENT_EVENT, E_INCIDENT, E_SCHEMA_AMBIGUOUS and what values give
	 */
	handle(bytes: Buffer, start: number, end: number): Steps | undefined {
		const event = readEvent(bytes, start, end, this.#checksums);
		const { type } = event;
		if (type === EventType.heartbeat || type === EventType.heartbeatV2) return undefined;
		if (type === EventType.rotate) {
			if (this.#cursor.rotate(event)) this.#logRows.forgetMaps();
			return undefined;
		}
		const isWanted = this.#cursor.moveTo(event);
		const steps = isWanted ? this.#dispatch(event) : undefined;
		if (this.#cursor.arrives) {
			// A position lies between transactions.
			this.#leaveGroup();
			this.#cursor.arrive();
		}
		return steps;
	}

	#dispatch(event: LogEvent): Steps | undefined {
		const group = this.#group;
		const { type } = event;
		if (group?.prepared != null && isPartOfXa(type)) {
			group.prepared.add(event);
			return undefined;
		}
		switch (type) {
			case EventType.formatDescription:
				this.#describeFormat(event);
				return undefined;
			case EventType.tableMap:
				return this.#tableMap(event);
			case EventType.xid:
				this.#commit(event);
				return undefined;
			case EventType.query:
				return this.#query(event, null);
			case EventType.mariadbQueryCompressed:
				return this.#query(event, inflateEvent);
			case EventType.executeLoadQuery:
				return this.#query(event, null);
			case EventType.gtid:
			case EventType.anonymousGtid:
				this.#begin(event, readGtid(event));
				return undefined;
			case EventType.gtidTagged:
				this.#begin(event, readTaggedGtid(event));
				return undefined;
			case EventType.mariadbGtid:
				this.#begin(event, readMariadbGtid(event));
				return undefined;
			case EventType.xaPrepare:
				return this.#xaPrepare(event);
			case EventType.transactionPayload:
				if (!this.#isPassed) return this.#payload(event);
				// Its end is in it.
				if (this.#group?.isKnown) this.#commit(event);
				return undefined;
			case EventType.incident:
				throw new HeadraceError("E_INCIDENT", `the log says at ${this.#cursor.text} that changes were lost`);
			case EventType.partialUpdateRows:
				this.#logRows.refuseParts(event);
				return undefined;
			case EventType.mariadbPartialRowData:
				throw new HeadraceError("E_UNSUPPORTED", "the log has a row that is cut into several events", {
					hint: "Run: SET GLOBAL binlog_row_event_fragment_threshold = 1073741824;",
				});
			case EventType.mariadbStartEncryption:
				return undefined;
		}
		const form = rowsForm(type);
		if (form !== undefined) this.#takeRows(event, form);
		return undefined;
	}

	#describeFormat(event: LogEvent): void {
		const format = readFormatDescription(event);
		this.#checksums = format.checksums;
		this.#logRows.describe(format);
		this.#cursor.describe(event);
	}

	#leaveGroup(): void {
		this.#group?.prepared?.drop();
		this.#group = null;
	}

	#begin(event: LogEvent, gtid: GtidEvent | null): void {
		this.#leaveGroup();
		this.#group = {
			gtid,
			file: this.#cursor.place.file,
			offset: this.#cursor.place.offset - event.size,
			isTransaction: gtid !== null && this.#options.flavour === "mariadb" && !gtid.standalone,
			hasRows: false,
			prepared: gtid?.preparesXa ? this.#prepared.begin() : null,
			isKnown: gtid?.gtid !== undefined && this.#cursor.knows(gtid.gtid),
		};
	}

	/** The transaction is whole: the position is behind it. */
	#commit(event: LogEvent): void {
		const group = this.#group;
		const isPassed = this.#isPassed;
		this.#leaveGroup();
		const gtid = group?.gtid?.gtid;
		this.#cursor.commit(gtid);
		if (isPassed) return;
		if (group?.hasRows === true)
			this.#transactions.push({
				position: this.#position(),
				committedAt: group.gtid?.committedMicros ?? BigInt(event.timestamp) * 1_000_000n,
				...(gtid === undefined ? {} : { id: gtid }),
			});
		const { flush } = this.#options;
		if (this.#transactions.length > 0) this.#since ??= performance.now();
		const isOld = this.#since !== null && performance.now() - this.#since >= flush.seconds * 1000;
		if (this.#rows >= flush.rows || this.#bytes >= flush.bytes || isOld) this.boundary();
	}

	#tableMap(event: LogEvent): Steps | undefined {
		const work = this.#isPassed ? null : this.#logRows.tableMap(event);
		return work === null ? undefined : step(work);
	}

	#takeRows(event: LogEvent, form: NonNullable<ReturnType<typeof rowsForm>>): void {
		if (this.#isPassed) return;
		const rows = this.#logRows.take(event, form, () => {
			this.#group ??= this.#bareGroup(event);
			this.#group.hasRows = true;
			return this.#transactions.length;
		});
		if (rows === null) return;
		this.#rows += rows;
		this.#bytes += event.size;
	}

	#bareGroup(event: LogEvent): Group {
		const { file, offset: end } = this.#cursor.place;
		return { gtid: null, file, offset: end - event.size, isTransaction: true, hasRows: false, prepared: null };
	}

	#xaPrepare(event: LogEvent): Steps | undefined {
		const { id, onePhase } = readXaPrepare(event);
		const group = this.#group;
		if (group?.prepared == null) {
			if (group?.hasRows) this.#commit(event);
			else this.#leaveGroup();
			return undefined;
		}
		const events = group.prepared;
		group.prepared = null;
		if (onePhase && !this.#isPassed) return this.#replay(events, event);
		if (onePhase) events.drop();
		else this.#prepared.keep(id, { file: group.file, offset: group.offset, events });
		group.hasRows = false;
		this.#commit(event);
		return undefined;
	}

	/** The events of an XA transaction that is committed now. */
	#replay(events: PreparedEvents, end: LogEvent): Steps {
		const replay = async function* (this: LogReader): AsyncGenerator<void, void, undefined> {
			for (const event of events.take()) {
				const steps = this.#dispatch(event);
				if (steps !== undefined) yield* steps;
				else yield;
			}
			this.#commit(end);
		};
		return replay.call(this);
	}

	async *#payload(event: LogEvent): AsyncGenerator<void, void, undefined> {
		for await (const bytes of payloadEvents(event)) {
			// Events in it have no checksums of their own.
			const steps = this.#dispatch(readEvent(bytes, 0, bytes.length, false));
			if (steps !== undefined) yield* steps;
			else yield;
		}
	}

	#query(event: LogEvent, inflate: ((packed: Buffer) => Buffer) | null): Steps | undefined {
		const query = readQuery(event, inflate);
		const { schema, text, sqlMode } = query;
		const statement: Statement =
			text === "BEGIN"
				? { kind: "begin" }
				: text === "COMMIT"
					? { kind: "commit" }
					: readStatement(text, schema, sqlMode);
		const ended = () => {
			if (this.#group === null || !this.#group.isTransaction) this.#commit(event);
		};
		if (this.#isPassed && !["begin", "commit", "rollback", "xa"].includes(statement.kind)) {
			ended();
			return undefined;
		}
		switch (statement.kind) {
			case "begin":
				this.#group ??= this.#bareGroup(event);
				this.#group.isTransaction = true;
				return undefined;
			case "commit":
				this.#commit(event);
				return undefined;
			case "rollback":
			case "savepoint-rollback":
				if (this.#group?.hasRows)
					throw new HeadraceError(
						"E_STATEMENT_EVENT",
						`a transaction at ${this.#cursor.text} was rolled back after its rows were written to the log`,
						{ hint: "A transaction changed a table that can't be rolled back. Read its tables anew." },
					);
				if (statement.kind === "rollback") this.#commit(event);
				return undefined;
			case "xa":
				return this.#xa(event, statement);
			case "rows":
				this.#statements.rows(statement);
				ended();
				return undefined;
			case "other":
				ended();
				return undefined;
		}
		const steps = this.#statements.of(statement);
		if (steps === null) {
			ended();
			return undefined;
		}
		return step(async () => {
			await steps();
			ended();
		});
	}

	#xa(event: LogEvent, { action, id }: Extract<Statement, { kind: "xa" }>): Steps | undefined {
		if (action === "end") return undefined;
		if (action === "start") {
			this.#group ??= this.#bareGroup(event);
			this.#group.isTransaction = true;
			this.#group.prepared ??= this.#prepared.begin();
			return undefined;
		}
		const prepared = this.#prepared.take(id);
		if (action === "commit" && prepared !== undefined && !this.#isPassed) return this.#replay(prepared, event);
		prepared?.drop();
		if (action === "rollback") {
			this.#commit(event);
			return undefined;
		}
		if (prepared === undefined && !this.#isPassed)
			throw new HeadraceError(
				"E_HISTORY_GONE",
				`an XA transaction is committed at ${this.#cursor.text} that was prepared before the stream began`,
			);
		this.#commit(event);
		return undefined;
	}

	/** Notes that the transaction which is open changes a table; gives its number since the last boundary. */
	#changes(): number {
		this.#group ??= { ...this.#cursor.place, gtid: null, isTransaction: false, hasRows: true, prepared: null };
		this.#group.hasRows = true;
		return this.#transactions.length;
	}

	/** Lets go of what is kept on the disk. */
	close(): void {
		this.#prepared.close();
	}
}

async function* step(work: () => Promise<void>): AsyncGenerator<void, void, undefined> {
	await work();
	yield;
}

function isPartOfXa(type: number): boolean {
	return type === EventType.tableMap || type === EventType.partialUpdateRows || rowsForm(type) !== undefined;
}
