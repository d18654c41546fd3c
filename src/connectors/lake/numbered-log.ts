import { HeadraceError, type Staging } from "../../core/index.ts";
import { entryName } from "./layout.ts";

/** What every entry of a log has. */
export interface LogEntry {
	readonly format_version: 1;
	/** Number of this entry; each adds one. */
	readonly entry: number;
	/** Names this entry and the one before it: tells whether an entry was built on ours. */
	readonly id: string;
	readonly previous_id: string | null;
}

/** The numbers that a log has now, in ascending order. */
export interface LogNumbers {
	readonly entries: readonly number[];
	/** Of the states that stand for all entries up to theirs. */
	readonly states: readonly number[];
}

/**
 * Numbered files that are written once: of two that write the same number one fails. So adding an entry is a
 * compare-and-set in any store that has a write which fails when the name is taken: `If-None-Match: *` in S3, link(2)
 * in a folder. No lock can be left by a process that died.
 */
export class NumberedLog<Entry extends LogEntry> {
	readonly #store: Staging;
	readonly #folder: string;

	/** `folder` ends with a slash. */
	constructor(store: Staging, folder: string) {
		this.#store = store;
		this.#folder = folder;
	}

	async numbers(): Promise<LogNumbers> {
		const entries: number[] = [];
		const states: number[] = [];
		for (const { path } of await this.#store.list(this.#folder)) {
			const match = /^(\d{20})(\.state)?\.json$/.exec(path.slice(this.#folder.length));
			if (match !== null) (match[2] === undefined ? entries : states).push(Number(match[1]));
		}
		const ascending = (a: number, b: number) => a - b;
		return { entries: entries.sort(ascending), states: states.sort(ascending) };
	}

	/** Null when it is not there (any more). @throws E_STATE when it can't be read */
	async read(entry: number): Promise<Entry | null> {
		return (await this.#readJson(this.#path(entry))) as Entry | null;
	}

	/** The state that was written with an entry. @throws E_STATE when it can't be read */
	async readState(entry: number): Promise<unknown> {
		return this.#readJson(this.#statePath(entry));
	}

	/** The last entry; null when there is none. */
	async last(): Promise<Entry | null> {
		while (true) {
			const last = (await this.numbers()).entries.at(-1);
			if (last === undefined) return null;
			const entry = await this.read(last);
			// Between listing and reading it may have been cleaned up after newer ones.
			if (entry !== null) return entry;
		}
	}

	/**
	 * Adds an entry. False when another has its number: then nothing is changed.
	 * @throws E_CONNECTION_LOST when that can't be told any more
	 */
	async add(entry: Entry): Promise<boolean> {
		const path = this.#path(entry.entry);
		try {
			await this.#store.writeOnce(path, encode(entry));
		} catch (error) {
			if (error instanceof HeadraceError && error.code === "E_FENCED") return false;
			throw error;
		}
		// The number may have been used and cleaned up before, while this process slept: then what follows it does not
		// build on ours.
		const { entries } = await this.numbers();
		if ((entries.at(-1) ?? 0) <= entry.entry) return true;
		const next = await this.read(entry.entry + 1);
		if (next?.previous_id === entry.id) return true;
		// So much has followed that it is cleaned up: whether on top of ours, only the newest state can say.
		if (next === null)
			throw new HeadraceError(
				"E_CONNECTION_LOST",
				`this process slept while ${path} was written: what became of it is not known`,
			);
		await this.#store.remove([path]);
		return false;
	}

	/** Writes the state as of an entry, unless there is one. */
	async addState(entry: number, state: unknown): Promise<void> {
		try {
			await this.#store.writeOnce(this.#statePath(entry), encode(state));
		} catch (error) {
			// Another process wrote it, perhaps at a time when files were to be removed that are gone now.
			if (!(error instanceof HeadraceError) || error.code !== "E_FENCED") throw error;
		}
	}

	async remove(numbers: { readonly entries?: readonly number[]; readonly states?: readonly number[] }): Promise<void> {
		const paths = [
			...(numbers.entries ?? []).map((entry) => this.#path(entry)),
			...(numbers.states ?? []).map((entry) => this.#statePath(entry)),
		];
		if (paths.length > 0) await this.#store.remove(paths);
	}

	#path(entry: number): string {
		return `${this.#folder}${entryName(entry)}.json`;
	}

	#statePath(entry: number): string {
		return `${this.#folder}${entryName(entry)}.state.json`;
	}

	async #readJson(path: string): Promise<unknown> {
		const content = await this.#store.read(path);
		if (content === null) return null;
		try {
			const value = JSON.parse(new TextDecoder().decode(content)) as LogEntry;
			if (value.format_version === 1) return value;
		} catch {
			// falls through to the error
		}
		throw new HeadraceError("E_STATE", `${path} in ${this.#store.location} can't be read, or is of a newer version`, {
			file: path,
		});
	}
}

const encode = (value: unknown) => new TextEncoder().encode(`${JSON.stringify(value)}\n`);
