import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { crashPoint, HeadraceError, type Staging, type TableName, timestampText } from "../../core/index.ts";
import { commitsFolder, tableFolder } from "./layout.ts";
import { NumberedLog } from "./numbered-log.ts";
import { afterCommit, type Commit, type TableState } from "./table-state.ts";

/** Commits between two states: what a reader reads at most. */
const STATE_EVERY = 16;
/** States that stay, so that a slow reader finds what it has listed. */
const STATES_KEPT = 2;

/** This process, for people. */
const WRITER = `${hostname()}:${process.pid}`;

export type CommitBody = Omit<
	Commit,
	"format_version" | "entry" | "id" | "previous_id" | "table" | "committed_at" | "writer"
>;

/** A table of the lake, as its commits have it. */
export class LakeTable {
	readonly name: TableName;
	readonly folder: string;
	readonly #store: Staging;
	readonly #log: NumberedLog<Commit>;
	readonly #retentionMs: number;
	#known: TableState | null = null;

	/** Files that no longer count are removed `retentionMs` after the commit that says so. */
	constructor(store: Staging, name: TableName, retentionMs: number) {
		this.name = name;
		this.folder = tableFolder(name);
		this.#store = store;
		this.#log = new NumberedLog(store, commitsFolder(this.folder));
		this.#retentionMs = retentionMs;
	}

	/** The state now; null when nothing was ever committed. @throws E_STATE */
	async head(): Promise<TableState | null> {
		for (let attempt = 1; ; attempt++) {
			const { entries, states } = await this.#log.numbers();
			const base = await this.#base(states);
			const state = base === undefined ? undefined : await this.#replay(base, entries.at(-1) ?? 0);
			if (state !== undefined) {
				this.#known = state;
				return state;
			}
			// Commits were cleaned up after a newer state while they were read.
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

	async #replay(base: TableState | null, last: number): Promise<TableState | null | undefined> {
		let state = base;
		for (let entry = (base?.entry ?? 0) + 1; entry <= last; entry++) {
			const commit = await this.#log.read(entry);
			if (commit === null || commit.previous_id !== (state?.id ?? null)) {
				this.#known = null;
				return undefined;
			}
			state = afterCommit(state, commit);
		}
		return state;
	}

	/**
	 * Adds a commit on top of whatever is the head. `body` makes it from the head, is asked again when another process
	 * was faster, and throws when it no longer can.
	 */
	async commit(body: (head: TableState | null) => CommitBody | null): Promise<TableState | null> {
		for (;;) {
			const head = await this.head();
			const made = body(head);
			if (made === null) return head;
			const commit: Commit = {
				format_version: 1,
				entry: (head?.entry ?? 0) + 1,
				id: randomBytes(12).toString("hex"),
				previous_id: head?.id ?? null,
				table: this.name,
				committed_at: timestampText(BigInt(Date.now()) * 1000n),
				writer: WRITER,
				...made,
			};
			if (!(await this.#log.add(commit))) continue;
			const state = afterCommit(head, commit);
			this.#known = state;
			return state;
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
		const before = timestampText(BigInt(Date.now() - this.#retentionMs) * 1000n);
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
