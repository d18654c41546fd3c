import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { crashPoint, HeadraceError, type Staging, type TableName, timestampText } from "../../core/index.ts";
import { commitsFolder, tableFolder } from "./layout.ts";
import { NumberedLog } from "./numbered-log.ts";
import { StreamLog } from "./streams.ts";
import { afterCommit, afterVoid, type Commit, type TableState, type TransactionReference } from "./table-state.ts";

/** Commits between two states: what a reader reads at most. */
const STATE_EVERY = 16;
/** States that stay, so that a slow reader finds what it has listed. */
const STATES_KEPT = 2;

const TRANSACTION_POLL_MS = 100;

/** This process, for people. */
const WRITER = `${hostname()}:${process.pid}`;

export type CommitBody = Omit<
	Commit,
	| "format_version"
	| "entry"
	| "id"
	| "previous_id"
	| "previous_void"
	| "table"
	| "committed_at"
	| "writer"
	| "transaction"
>;

/** A commit that counts once its transaction does, and what the table is then. */
export interface PreparedCommit {
	readonly commit: Commit;
	readonly state: TableState;
}

/** The head of a table, but for a last commit of which it is not settled yet whether it counts. */
interface Look {
	readonly state: TableState | null;
	readonly unsettled: Commit | null;
}

export interface TableTimes {
	/** How long files stay after the commit that removed them. */
	readonly retentionMs: number;
	/** How long a transaction that is not settled is waited for before it is refused. */
	readonly transactionWaitMs: number;
}

/** A table of the lake, as its commits have it. */
export class LakeTable {
	readonly name: TableName;
	readonly folder: string;
	readonly #store: Staging;
	readonly #log: NumberedLog<Commit>;
	readonly #times: TableTimes;
	#known: TableState | null = null;
	#lookedMs = Number.NEGATIVE_INFINITY;

	constructor(store: Staging, name: TableName, times: TableTimes) {
		this.name = name;
		this.folder = tableFolder(name);
		this.#store = store;
		this.#log = new NumberedLog(store, commitsFolder(this.folder));
		this.#times = times;
	}

	/** The state now; null when nothing was ever committed. @throws E_STATE */
	async head(): Promise<TableState | null> {
		return (await this.#look()).state;
	}

	/** The state of at most so many milliseconds ago. */
	async recent(ageMsMax: number): Promise<TableState | null> {
		return performance.now() - this.#lookedMs <= ageMsMax ? this.#known : this.head();
	}

	async #look(): Promise<Look> {
		const began = performance.now();
		for (let attempt = 1; ; attempt++) {
			const { entries, states } = await this.#log.numbers();
			const base = await this.#base(states);
			const look = base === undefined ? undefined : await this.#replay(base, entries.at(-1) ?? 0);
			if (look !== undefined) {
				this.#known = look.state;
				this.#lookedMs = began;
				return look;
			}
			// Commits were cleaned up after a newer state, or followed by others, while they were read.
			if (attempt === 20)
				throw new HeadraceError("E_STATE", `commits of ${this.folder} in ${this.#store.location} are missing`, {
					hint: `Look into ${commitsFolder(this.folder)}: numbers must follow each other from the last .state.json on.`,
				});
		}
	}

	/** Where reading begins; undefined when the state that was listed is gone. */
	async #base(states: readonly number[]): Promise<TableState | null | undefined> {
		const newest = states.at(-1);
		const known = this.#known;
		if (known !== null && known.entry >= (newest ?? 0)) return known;
		if (newest === undefined) return null;
		return ((await this.#log.readState(newest)) as TableState | null) ?? undefined;
	}

	async #replay(base: TableState | null, last: number): Promise<Look | undefined> {
		let state = base;
		// Of a transaction: the commit on top of it says whether it counts.
		let waiting: Commit | null = null;
		for (let entry = (base?.entry ?? 0) + 1; entry <= last; entry++) {
			const commit = await this.#log.read(entry);
			if (commit === null || commit.previous_id !== (waiting?.id ?? state?.id ?? null)) {
				this.#known = null;
				return undefined;
			}
			if (waiting !== null)
				state = commit.previous_void === true ? afterVoid(state, waiting) : afterCommit(state, waiting);
			waiting = commit.transaction === undefined ? null : commit;
			if (waiting === null) state = afterCommit(state, commit);
		}
		if (waiting === null) return { state, unsettled: null };
		switch (await this.#outcome(waiting, waiting.transaction!)) {
			case "counts":
				return { state: afterCommit(state, waiting), unsettled: null };
			case "void":
				return { state: afterVoid(state, waiting), unsettled: null };
			case "unsettled":
				return { state, unsettled: waiting };
			case "followed":
				return undefined;
		}
	}

	/** Whether the last commit counts. `followed` when it no longer is the last: then the next one says it. */
	async #outcome(
		{ entry, id }: Commit,
		transaction: TransactionReference,
	): Promise<"counts" | "void" | "unsettled" | "followed"> {
		const head = await this.#streamOf(transaction).head();
		const counted = head?.changes?.commits[this.folder];
		if (counted !== undefined && counted.entry > entry) return "followed";
		if (counted?.id === id) return "counts";
		return head !== null && head.entry >= transaction.entry ? "void" : "unsettled";
	}

	#streamOf({ pipeline, stream }: TransactionReference): StreamLog {
		return new StreamLog(this.#store, pipeline, stream);
	}

	/** Waits for a transaction, of which the last step is left; refuses it when nobody takes that. */
	async #settle(commit: Commit): Promise<void> {
		const transaction = commit.transaction!;
		const until = performance.now() + this.#times.transactionWaitMs;
		while (performance.now() < until) {
			if ((await this.#outcome(commit, transaction)) !== "unsettled") return;
			await sleep(TRANSACTION_POLL_MS);
		}
		await this.#streamOf(transaction).refuse(transaction.entry);
	}

	/**
	 * Adds a commit on top of whatever is the head. `body` makes it from the head, is asked again when another process
	 * was faster, and throws when it no longer can.
	 */
	async commit(body: (head: TableState | null) => CommitBody | null): Promise<TableState | null> {
		const added = await this.#add(body);
		if (!("commit" in added)) return added.head;
		this.#known = added.state;
		return added.state;
	}

	/** Adds a commit that counts once the transaction does: tell it by `settled`. */
	async prepare(
		transaction: TransactionReference,
		body: (head: TableState | null) => CommitBody,
	): Promise<PreparedCommit> {
		const added = await this.#add(body, transaction);
		if ("commit" in added) return added;
		throw new HeadraceError("E_INTERNAL", `a transaction has no commit for ${this.folder}`);
	}

	/** The transaction of a commit has become true. */
	settled({ state }: PreparedCommit): void {
		this.#known = state;
	}

	async #add(
		body: (head: TableState | null) => CommitBody | null,
		transaction?: TransactionReference,
	): Promise<PreparedCommit | { readonly head: TableState | null }> {
		for (;;) {
			const { state: head, unsettled } = await this.#look();
			if (unsettled !== null) {
				await this.#settle(unsettled);
				continue;
			}
			const made = body(head);
			if (made === null) return { head };
			const commit: Commit = {
				format_version: 1,
				entry: (head?.entry ?? 0) + 1,
				id: randomBytes(12).toString("hex"),
				previous_id: head?.id ?? null,
				...(head?.void === true ? { previous_void: true } : {}),
				table: this.name,
				committed_at: timestampText(BigInt(Date.now()) * 1000n),
				writer: WRITER,
				...made,
				...(transaction === undefined ? {} : { transaction }),
			};
			if (await this.#log.add(commit)) return { commit, state: afterCommit(head, commit) };
		}
	}

	/** What follows a commit and may fail: a state now and then, and removal of what nobody reads any more. */
	async tidy(state: TableState): Promise<void> {
		if (state.entry % STATE_EVERY !== 0) return;
		const { kept, removable } = this.#removable(state);
		if (removable.length > 0) await this.#store.remove(removable);
		crashPoint("lake-cleaned");
		await this.#log.addState(state.entry, { ...state, removed: kept });
		crashPoint("lake-state");
		const { entries, states } = await this.#log.numbers();
		const oldest = states.slice(-STATES_KEPT)[0];
		if (oldest === undefined) return;
		await this.#log.remove({
			entries: entries.filter((entry) => entry <= oldest),
			states: states.filter((entry) => entry < oldest),
		});
	}

	/** Removed files that are old enough, and those that are not. */
	#removable(state: TableState) {
		const before = timestampText(BigInt(Date.now() - this.#times.retentionMs) * 1000n);
		const isOld = ({ at }: { readonly at: string }) => at < before;
		return {
			kept: state.removed.filter((file) => !isOld(file)),
			removable: state.removed.filter(isOld).map(({ path }) => path),
		};
	}

	/** Data files under the table that no commit names, written before `before`: what dead processes left. */
	async orphans(state: TableState, before: Date): Promise<string[]> {
		const named = new Set([...state.files, ...state.removed].map(({ path }) => path));
		const found = await this.#store.list(`${this.folder}/data/`);
		return found.filter(({ path, modifiedAt }) => modifiedAt < before && !named.has(path)).map(({ path }) => path);
	}
}
