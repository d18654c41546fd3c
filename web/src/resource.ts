import { type Signal, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get } from "./client.ts";

export interface Resource<Data> {
	/** Null until the first answer; the last good answer afterwards. */
	readonly data: Data | null;
	readonly error: unknown;
}

interface Entry {
	readonly path: string;
	readonly state: Signal<Resource<unknown>>;
	users: number;
	loading: boolean;
	/** Something happened while it was being loaded: that answer is old already. */
	again: boolean;
	loadedAtMs: number;
}

/** Events come at once; this is for what only time changes, and for a server whose events do not get through. */
const POLL_MS = 30_000;
const FRESH_MS = 1000;
/** Answers that are kept for the way back. */
const ENTRIES_MAX = 60;

/** Milliseconds since 1970, every few seconds: what "12 s ago" is drawn from. */
export const now = signal(Date.now());

const entries = new Map<string, Entry>();

function entryOf(path: string): Entry {
	const known = entries.get(path);
	if (known !== undefined) return known;
	for (const [old, { users }] of entries) {
		if (entries.size < ENTRIES_MAX) break;
		if (users === 0) entries.delete(old);
	}
	const entry: Entry = {
		path,
		state: signal({ data: null, error: null }),
		users: 0,
		loading: false,
		again: false,
		loadedAtMs: 0,
	};
	entries.set(path, entry);
	return entry;
}

async function load(entry: Entry): Promise<void> {
	if (entry.loading) {
		entry.again = true;
		return;
	}
	entry.loading = true;
	try {
		entry.state.value = { data: await get<unknown>(entry.path), error: null };
		entry.loadedAtMs = Date.now();
	} catch (error) {
		entry.state.value = { data: entry.state.peek().data, error };
	}
	entry.loading = false;
	now.value = Date.now();
	if (entry.again) {
		entry.again = false;
		await load(entry);
	}
}

/** What the server says under a path, kept fresh while the component is on the page; null asks for nothing. */
export function useResource<Data>(path: string | null): Resource<Data> {
	const entry = path === null ? null : entryOf(path);
	useEffect(() => {
		if (entry === null) return;
		entry.users++;
		if (Date.now() - entry.loadedAtMs > FRESH_MS) void load(entry);
		return () => {
			entry.users--;
		};
	}, [entry]);
	return (entry?.state.value ?? { data: null, error: null }) as Resource<Data>;
}

/** Asks anew for what the page shows, or for those paths of it that `concerns` says yes to. */
export async function refresh(concerns: (path: string) => boolean = () => true): Promise<void> {
	const shown = [...entries.values()].filter(({ users, path }) => users > 0 && concerns(path));
	await Promise.all(shown.map(load));
}

setInterval(() => {
	if (document.hidden) return;
	now.value = Date.now();
}, 5000);
setInterval(() => {
	if (!document.hidden) void refresh();
}, POLL_MS);
document.addEventListener("visibilitychange", () => {
	if (!document.hidden) void refresh();
});
