import {
	type BeginRequest,
	type ChangeEvent,
	type ChangeLog,
	type ChangeRequest,
	type ChangeStream,
	type Finding,
	type Grant,
	HeadraceError,
	type LogCut,
	type LogHeadroom,
	type SourceTable,
	type TableName,
} from "../../../core/index.ts";
import { connect, type PostgresOptions } from "../connect.ts";
import type { ControlConnection } from "../control.ts";
import type { ServerFacts } from "../server-facts.ts";
import { beginLog, forgetReader, includeTables } from "./begin.ts";
import { FollowedTables } from "./followed-tables.ts";
import { describeRelation } from "./layout.ts";
import { checkLog, logGrants } from "./log-check.ts";
import { logEnd } from "./log-end.ts";
import { LogReader } from "./log-reader.ts";
import { Peek } from "./peek.ts";
import { decodeWalPosition, encodeWalPosition, formatLsn, type WalPosition } from "./position.ts";
import { choosePublications } from "./publication.ts";
import { startCommand } from "./replication-options.ts";
import { Sender } from "./sender.ts";
import { PLUGIN, proveSlot, readSlots, type Slot, slotName } from "./slot.ts";
import { Spools } from "./spool.ts";
import { type LogFeed, LogStream } from "./stream.ts";
import { createSlot, identify, type LogIdentity, openWalsender, proveHistory, proveTimeline } from "./walsender.ts";

/** How long a slot that is in use is waited for: a reader that has just gone may still hold it. */
const FREE_WAIT_MS = 5_000;
const FREE_TRY_MS = 200;

/** The write-ahead log of a PostgreSQL server, decoded by its plugin pgoutput. */
export class PostgresChangeLog implements ChangeLog {
	readonly #options: PostgresOptions;
	readonly #control: ControlConnection;
	/** What `end` said last: a look that begins there begins with what comes. */
	#lastEnd = "";

	constructor(options: PostgresOptions, control: ControlConnection) {
		this.#options = options;
		this.#control = control;
	}

	async end(): Promise<string> {
		this.#lastEnd = await this.#position(await this.#control.run(logEnd));
		return this.#lastEnd;
	}

	/**
	 * Where the oldest slot of this database begins that can be looked into.
	 * @throws E_HISTORY_GONE without one: the server keeps no log for decoders
	 */
	async beginning(): Promise<string> {
		const slot = await this.#control.run(async (session, facts) =>
			(await readSlots(session))
				.filter((found) => isReadable(found, facts.database))
				.reduce<Slot | null>(
					(oldest, found) => (oldest === null || found.confirmedLsn! < oldest.confirmedLsn! ? found : oldest),
					null,
				),
		);
		if (slot === null)
			throw new HeadraceError(
				"E_HISTORY_GONE",
				"no replication slot of this database keeps the log for a decoder: it has no beginning",
				{ hint: "`--from now` shows what comes; a slot keeps the log from the moment that it is made." },
			);
		return this.#position(slot.confirmedLsn!, slot.name);
	}

	async #position(lsn: bigint, slot?: string): Promise<string> {
		const { system, timeline, database } = await this.#control.run(identify);
		return encodeWalPosition({ lsn, system, timeline, database, ...(slot === undefined ? {} : { slot }) });
	}

	compare(a: string, b: string): number {
		const [first, second] = [decodeWalPosition(a).lsn, decodeWalPosition(b).lsn];
		return first < second ? -1 : first > second ? 1 : 0;
	}

	format(position: string): string {
		return formatLsn(decodeWalPosition(position).lsn);
	}

	parse(text: string): string {
		return encodeWalPosition(decodeWalPosition(text));
	}

	begin(request: BeginRequest): Promise<LogCut> {
		return beginLog(this.#options, this.#control, request);
	}

	include(request: BeginRequest): Promise<void> {
		return includeTables(this.#options, this.#control, request);
	}

	forget(reader: string): Promise<void> {
		return forgetReader(this.#options, this.#control, reader);
	}

	async open(request: ChangeRequest): Promise<ChangeStream> {
		const { signal } = request;
		const given = decodeWalPosition(request.from);
		const facts = await this.#control.run(async (session, known) => {
			await proveTimeline(session, given);
			return { ...known, ...(await identify(session)) };
		});
		const from = { lsn: given.lsn, system: facts.system, timeline: facts.timeline, database: facts.database };
		const emitted: ChangeEvent[] = [];
		const emit = (event: ChangeEvent) => {
			emitted.push(event);
		};
		const tables = new FollowedTables(request, {
			describe: (relation, policy) =>
				this.#control.run((session, known) => describeRelation(session, known, relation, policy)),
			textUnchecked: facts.textUnchecked,
			emit,
		});
		const { feed, until } = await this.#feed(request, given, facts);
		feed.reuseAfter?.(() => tables.settle());
		const spools = new Spools();
		const reader = new LogReader({ tables, from, flush: request.flush, spools, emit });
		return new LogStream({
			feed,
			reader,
			emitted,
			abandon: () => {
				tables.abandon();
				spools.close();
			},
			...(until === undefined ? {} : { until }),
			...(signal === undefined ? {} : { signal }),
		});
	}

	async #feed(
		request: ChangeRequest,
		from: WalPosition,
		facts: ServerFacts & LogIdentity,
	): Promise<{ feed: LogFeed; until?: string }> {
		const names = request.tables.map(({ name }) => name);
		const own = slotName(request.reader, facts.database);
		const publications = await this.#control.run((session) => choosePublications(session, own, names));
		const until = request.until === undefined ? {} : { until: request.until };
		if (request.looks === true) return this.#look(request, from, publications, facts);
		const slot = await this.#freeSlot(own, from, facts.database);
		return { feed: await this.#send(slot.name, from, publications, facts), ...until };
	}

	/** Into a slot, up to the log's end; else by a temporary slot, which has only what comes from now on. */
	async #look(
		request: ChangeRequest,
		from: WalPosition,
		publications: readonly string[],
		facts: ServerFacts,
	): Promise<{ feed: LogFeed; until?: string }> {
		const { until } = request;
		if (from.slot !== undefined || until !== undefined) {
			const name = from.slot ?? (await this.#slotAt(from.lsn, facts.database));
			const slot = await this.#freeSlot(name, from, facts.database);
			const to = until ?? (await this.end());
			const { session } = await connect(this.#options, "headrace reader");
			const range = { from: from.lsn, to: decodeWalPosition(to).lsn };
			return { feed: new Peek(session, slot.name, range, publications), until: to };
		}
		if (request.from !== this.#lastEnd)
			throw new HeadraceError("E_UNSUPPORTED", "a look that goes on can begin only with what comes from now on", {
				hint: "Leave `--from` out, or `--follow`: what is in a slot can be looked at up to the log's end.",
			});
		const { session } = await openWalsender(this.#options);
		try {
			const name = `headrace_look_${facts.processId}_${Date.now().toString(36)}`;
			const { lsn } = await createSlot(session, facts, { name, kind: "temporary" });
			return { feed: await Sender.start(session, startCommand(name, lsn, publications, facts.version), lsn) };
		} catch (error) {
			session.destroy();
			throw error;
		}
	}

	/** The slot that begins next before a place. */
	async #slotAt(lsn: bigint, database: string): Promise<string> {
		const slots = (await this.#control.run((session) => readSlots(session))).filter(
			(slot) => isReadable(slot, database) && slot.confirmedLsn! <= lsn,
		);
		slots.sort((a, b) => Number(b.confirmedLsn! - a.confirmedLsn!));
		const [nearest] = slots;
		if (nearest !== undefined) return nearest.name;
		throw new HeadraceError(
			"E_HISTORY_GONE",
			`no replication slot of this database keeps the log from ${formatLsn(lsn)} on`,
			{
				hint: "`--from beginning` shows what the oldest slot has, `--from now` what comes.",
			},
		);
	}

	async #send(
		slot: string,
		from: WalPosition,
		publications: readonly string[],
		facts: ServerFacts & LogIdentity,
	): Promise<Sender> {
		const { session } = await openWalsender(this.#options);
		try {
			await proveHistory(session, from, facts.timeline);
			return await Sender.start(session, startCommand(slot, from.lsn, publications, facts.version), from.lsn);
		} catch (error) {
			session.destroy();
			throw error;
		}
	}

	/** @throws what `proveSlot` throws; E_BUSY when another reads it */
	async #freeSlot(name: string, from: WalPosition, database: string): Promise<Slot> {
		const begun = performance.now();
		while (true) {
			const [found] = await this.#control.run((session) => readSlots(session, name));
			const slot = proveSlot(found, name, from, database);
			if (slot.activePid === null) return slot;
			if (performance.now() - begun > FREE_WAIT_MS)
				throw new HeadraceError(
					"E_BUSY",
					`the replication slot ${name} is in use by the server's process ${slot.activePid}`,
					{ hint: `Wait for the run that reads it, or end it: SELECT pg_terminate_backend(${slot.activePid});` },
				);
			await new Promise((resolve) => setTimeout(resolve, FREE_TRY_MS));
		}
	}

	headroom(from: string, { reader }: { readonly reader?: string } = {}): Promise<LogHeadroom> {
		const position = decodeWalPosition(from);
		return this.#control.run(async (session, { database }) => {
			const lsn = await logEnd(session);
			const slots = await readSlots(session);
			const end = encodeWalPosition({ ...position, lsn });
			const bytesBehind = lsn > position.lsn ? Number(lsn - position.lsn) : 0;
			const name = reader === undefined ? null : slotName(reader, database);
			// Without a reader the slot that is given up first is what counts.
			const own =
				name === null
					? slots.filter((slot) => slot.name.startsWith("headrace_"))
					: [proveSlot(find(slots, name), name, position, database)];
			const left = own.flatMap(({ safeBytes }) => safeBytes ?? []);
			const kept = name === null ? [] : own.flatMap(({ restartLsn }) => restartLsn ?? []);
			return {
				end,
				bytesBehind,
				...(left.length === 0 ? {} : { bytesLeft: Math.max(0, Math.min(...left)) }),
				...(kept.length === 0 ? {} : { bytesKept: Math.max(0, Number(lsn - kept[0]!)) }),
			};
		});
	}

	grants(tables: readonly TableName[]): Promise<Grant[]> {
		return this.#control.run(async (_session, facts) => logGrants(facts, tables));
	}

	check(tables: readonly SourceTable[]): Promise<Finding[]> {
		return this.#control.run((session, facts) => checkLog(session, facts, tables));
	}
}

function find(slots: readonly Slot[], wanted: string): Slot | undefined {
	return slots.find(({ name }) => name === wanted);
}

function isReadable({ plugin, database, invalidated, confirmedLsn }: Slot, of: string): boolean {
	return plugin === PLUGIN && database === of && invalidated === null && confirmedLsn !== null;
}
