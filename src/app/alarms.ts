import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { type CheckedPipeline, matchesPattern, parsePattern } from "../config/index.ts";
import {
	type AlertChannel,
	type AlertEntry,
	HeadraceError,
	type Lease,
	type LogLine,
	type RunReceipt,
	type StateStore,
	toHeadraceErrors,
} from "../core/index.ts";
import {
	type AlertMessage,
	afterFailing,
	afterTelling,
	deliveryId,
	itemOf,
	noted,
	titleOf,
	waitingFor,
} from "../observe/alerts/index.ts";
import { processHolder } from "../state/index.ts";
import type { AlertDelivery } from "./api.ts";
import { type LateTable, lateMessage, lateTables } from "./freshness.ts";
import { type Happening, happenedIn, successOf } from "./happened.ts";
import { abortableDelay } from "./retry.ts";
import { commandsFor } from "./run-commands.ts";

/** An alarm keeps no command waiting longer than this. */
const DELIVERY_MS_MAX = 10_000;
const LEASE_MS = 30_000;
const LEASE_POLL_MS = 200;
const REST_MS = 60_000;

export interface AlarmOptions {
	readonly state: FencedStore;
	readonly pipeline: CheckedPipeline;
	readonly nowMs: () => number;
	readonly redact: (text: string) => string;
	/** A line for the log of a run, and for people when it warns. */
	readonly onLine: (runId: string | null, level: LogLine["level"], message: string) => void;
	/** Aborted when the command is to end: nothing more is sent then, what waits is sent by the next run. */
	readonly signal?: AbortSignal | undefined;
}

/** A state that can be written to under a lease. */
interface FencedStore extends StateStore {
	fencedBy(lease: Lease): StateStore;
}

/** One turn of sending, under the lease of the pipeline's alarms. */
interface Sending {
	readonly lease: Lease;
	readonly entries: readonly AlertEntry[];
	readonly runId: string | null;
	readonly signal: AbortSignal;
}

/**
 * Tells the channels of a pipeline what happened in its runs. Everything is written down first and sent afterwards:
 * what can't be sent waits in the state store. It never throws because of a channel, and never takes long.
 */
export class Alarms {
	readonly #options: AlarmOptions;
	readonly #channels: readonly AlertChannel[];
	readonly #ending = new AbortController();
	readonly #deliveries: AlertDelivery[] = [];
	/** When a channel last failed, by the clock that only goes on: it is left alone for a while. */
	readonly #failedAtMs = new Map<string, number>();
	#sending: Promise<void> = Promise.resolve();
	/** The state as the run that is told of may write to it; null outside of one. */
	#fence: StateStore | null = null;
	#isFenced = false;

	constructor(options: AlarmOptions) {
		this.#options = options;
		this.#channels = options.pipeline.alerts;
	}

	/**
	 * What is told from here on is of a run under a lease, whose state this is: once the lease is another's, nothing of it
	 * is written down any more, and this process sends nothing more.
	 */
	fencedBy(state: StateStore): void {
		this.#fence = state;
	}

	/** The run is over, and so is its lease. */
	unfenced(): void {
		this.#fence = null;
	}

	/** Writes down what a run that ended means to the channels, and begins to tell them. */
	async note(run: RunReceipt): Promise<void> {
		const { occurrences, successes } = happenedIn(run);
		await this.#change(run.run_id, occurrences, successes);
	}

	/** Writes down that all runs of a command succeeded, when they did. */
	async noteSuccess(runs: readonly RunReceipt[]): Promise<void> {
		const success = successOf(runs);
		if (success !== null) await this.#change(success.runId, [success], []);
	}

	/** A run of before whose process is gone, killed or with its machine, told nobody: it is told now. */
	async noteAbandoned(): Promise<void> {
		if (this.#channels.length === 0) return;
		const { state, pipeline } = this.#options;
		const [last] = await state.runs({ pipeline: pipeline.name, limit: 1 });
		if (last === undefined || last.state !== "stopped" || last.finished_at !== null) return;
		const known = await state.alerts(pipeline.name);
		if (known.some((entry) => entry.runId === last.run_id)) return;
		const abandoned: Happening = {
			event: "failed",
			table: "",
			code: "E_STOPPED",
			message: "the run's process is gone: it was killed, or the machine was restarted",
			hint: "Look for the system's out-of-memory messages; the next run goes on where it stopped.",
			attempts: 1,
			runId: last.run_id,
		};
		await this.#change(last.run_id, [abandoned], []);
	}

	/** Tables that are late by `late_after`; the channels are told. */
	async checkLate(runId: string | null): Promise<readonly LateTable[]> {
		const { state, pipeline, nowMs } = this.#options;
		const late = await lateTables(state, pipeline, nowMs());
		const occurrences = late.map(
			(table): Happening => ({
				event: "late",
				table: table.table,
				code: "",
				message: lateMessage(table, nowMs()),
				hint: "See whether its runs fail, hang, or are not begun.",
				attempts: 0,
				runId,
			}),
		);
		await this.#change(runId, occurrences, []);
		return late;
	}

	/** Sends what waits, from this run or before. Takes at most ten seconds. Gives everything that was sent or tried. */
	async finish(runId: string | null): Promise<readonly AlertDelivery[]> {
		const timer = setTimeout(() => this.#ending.abort(), DELIVERY_MS_MAX);
		try {
			await this.#sending;
			await this.#deliver(runId);
		} finally {
			clearTimeout(timer);
		}
		return this.#deliveries;
	}

	/** A test message through each channel, whatever it wants to be told. */
	async test(): Promise<readonly AlertDelivery[]> {
		const { pipeline } = this.#options;
		const item = {
			table: null,
			code: null,
			message: "This is a test: nothing failed. Alarms of this pipeline reach this channel.",
			hint: "",
			attempts: 0,
			times: 1,
			firstAt: this.#now(),
			lastAt: this.#now(),
			toldAt: null,
			over: false,
			lastSuccess: null,
		};
		const show = commandsFor(pipeline, null).status;
		const message = { ...this.#message("test", null), items: [item], commands: { show, repeat: null } };
		const signal = this.#deadline();
		return Promise.all(
			this.#channels.map(async (channel) => ({
				channel: channel.name,
				event: "test" as const,
				error: await this.#try(channel, { ...message, id: randomUUID() }, signal),
			})),
		);
	}

	async #change(runId: string | null, happenings: readonly Happening[], successes: readonly string[]): Promise<void> {
		if (this.#channels.length === 0 || happenings.length + successes.length === 0) return;
		const { state, pipeline, nowMs } = this.#options;
		const atMs = nowMs();
		const occurrences = happenings.map(({ into, ...what }) => ({ ...what, channels: this.#concerned(what, into) }));
		try {
			await (this.#fence ?? state).changeAlerts(pipeline.name, (entries) =>
				noted(entries, this.#channels, { occurrences, successes, runId, atMs }),
			);
		} catch (thrown) {
			if (thrown instanceof HeadraceError && thrown.code === "E_FENCED") this.#isFenced = true;
			throw thrown;
		}
		// Sent while the run goes on; `finish` waits for it.
		this.#sending = this.#sending.then(() => this.#deliver(runId));
	}

	/** Names of the channels that want to be told, by the table's name or its destination's. */
	#concerned({ event, table }: Pick<Happening, "event" | "table">, into: string | undefined): string[] {
		return this.#channels
			.filter(({ on, tables }) => {
				if (!on.includes(event)) return false;
				if (tables === undefined || table === "") return true;
				const names = [table, ...(into === undefined ? [] : [into])].map(tableName);
				return tables.map(parsePattern).some((pattern) => names.some((name) => matchesPattern(pattern, name)));
			})
			.map(({ name }) => name);
	}

	/** Sends what waits to all channels; one process at a time, so that nothing is sent twice. */
	async #deliver(runId: string | null): Promise<void> {
		const { state, pipeline, onLine } = this.#options;
		const signal = this.#deadline();
		if (this.#channels.length === 0 || this.#isFenced || signal.aborted) return;
		try {
			const isWaiting = (entry: AlertEntry): boolean => entry.state === "waiting";
			if (!(await state.alerts(pipeline.name)).some(isWaiting)) return;
			const name = `alerts:${pipeline.name}`;
			let lease = await state.acquireLease(name, processHolder(), LEASE_MS);
			while (lease === null && !signal.aborted) {
				await abortableDelay(LEASE_POLL_MS, signal);
				lease = await state.acquireLease(name, processHolder(), LEASE_MS);
			}
			if (lease === null) return;
			try {
				const sending = { lease, runId, signal, entries: await state.alerts(pipeline.name) };
				await Promise.all(this.#channels.map((channel) => this.#tell(channel, sending)));
			} finally {
				await state.releaseLease(lease);
			}
		} catch (thrown) {
			// The store failed, not a channel: the run's own result counts, and what waits stays where it is.
			for (const error of toHeadraceErrors(thrown)) onLine(runId, "warn", `alarms: ${error.code} ${error.message}`);
		}
	}

	async #tell(channel: AlertChannel, { lease, entries, runId, signal }: Sending): Promise<void> {
		const { state, pipeline, nowMs, redact, onLine } = this.#options;
		// Whoever stood still meanwhile may find that another process has sent all of it.
		const own = state.fencedBy(lease);
		const failedAtMs = this.#failedAtMs.get(channel.name);
		if (failedAtMs !== undefined && performance.now() - failedAtMs < REST_MS) return;
		const successes = new Map((await state.lastSuccesses(pipeline.name)).map(({ table, at }) => [table, at]));
		for (const group of waitingFor(entries, channel.name)) {
			const event = group[0]!.event;
			const about = newest(group).runId;
			if (!(await state.renewLease(lease, LEASE_MS))) return;
			const message = {
				...this.#message(event, about),
				id: deliveryId(pipeline.name, group),
				items: group.map((entry) => itemOf(entry, successes.get(entry.table) ?? null, redact)),
			};
			const error = await this.#try(channel, message, signal);
			if (error === null) {
				await own.changeAlerts(pipeline.name, (now) => afterTelling(now, group, nowMs()));
				onLine(runId ?? about, "info", `alarm sent to ${channel.name}: ${titleOf(message)}`);
			} else {
				await own.changeAlerts(pipeline.name, (now) => afterFailing(now, group, error.message));
				onLine(runId ?? about, "warn", `alarm not sent, the next run tries again: ${error.message}. ${error.hint}`);
			}
			this.#deliveries.push({ channel: channel.name, event, error });
			if (error === null) continue;
			// A channel that does not take one message now would not take the next either.
			this.#failedAtMs.set(channel.name, performance.now());
			return;
		}
	}

	async #try(channel: AlertChannel, message: AlertMessage, signal: AbortSignal): Promise<HeadraceError | null> {
		try {
			const { sendAlert } = await import("../observe/alerts/send.ts");
			await sendAlert(channel, message, { signal, nowMs: this.#options.nowMs });
			return null;
		} catch (thrown) {
			if (thrown instanceof HeadraceError) return thrown;
			return new HeadraceError("E_ALERT", `channel ${channel.name}: ${String(thrown)}`, { cause: thrown });
		}
	}

	#message(event: AlertMessage["event"], runId: string | null): Omit<AlertMessage, "items"> {
		const { pipeline } = this.#options;
		const commands = commandsFor(pipeline, runId);
		return {
			id: randomUUID(),
			event,
			pipeline: pipeline.name,
			at: this.#now(),
			host: hostname(),
			runId,
			commands: {
				show: runId === null ? commands.status : commands.show,
				repeat: event === "failed" ? commands.repeat : null,
			},
		};
	}

	#now(): string {
		return new Date(this.#options.nowMs()).toISOString();
	}

	#deadline(): AbortSignal {
		const { signal } = this.#options;
		const deadline = AbortSignal.timeout(DELIVERY_MS_MAX);
		return AbortSignal.any([deadline, this.#ending.signal, ...(signal === undefined ? [] : [signal])]);
	}
}

function newest(entries: readonly AlertEntry[]): AlertEntry {
	return entries.reduce((last, entry) => (entry.lastAt > last.lastAt ? entry : last));
}

/** A receipt's `schema.name`. */
function tableName(text: string): { schema: string; name: string } {
	const dot = text.indexOf(".");
	return dot < 0 ? { schema: "", name: text } : { schema: text.slice(0, dot), name: text.slice(dot + 1) };
}
