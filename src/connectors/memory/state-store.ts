import type { AlertEntry } from "../../core/alert.ts";
import type { Lease, LogLine, RunReceipt, StateStore, StoredPosition } from "../../core/state-store.ts";

/** What state stores in memory keep. It outlives the ports over it, as a database file outlives its clients. */
export class MemoryState {
	readonly runs = new Map<string, RunReceipt>();
	readonly logs = new Map<string, LogLine[]>();
	readonly leases = new Map<string, MemoryLease>();
	readonly positions = new Map<string, Map<string, StoredPosition>>();
	readonly alerts = new Map<string, readonly AlertEntry[]>();
}

interface MemoryLease {
	/** Null when it was released. */
	readonly holder: string | null;
	/** Grows with every holder, and stays when the lease is released. */
	readonly epoch: number;
	/** Milliseconds since 1970. */
	readonly expiresAtMs: number;
}

export interface MemoryStateStoreOptions {
	/** Milliseconds since 1970; default the machine's clock. */
	readonly clock?: () => number;
}

/** Keeps runs, logs, leases and positions in a `MemoryState`. */
export function memoryStateStore(state: MemoryState, options: MemoryStateStoreOptions = {}): StateStore {
	const now = options.clock ?? Date.now;
	const held = (name: string): Lease | null => {
		const lease = state.leases.get(name);
		if (lease === undefined || lease.holder === null || lease.expiresAtMs <= now()) return null;
		const { holder, epoch, expiresAtMs } = lease;
		return { name, holder, epoch, expiresAt: new Date(expiresAtMs).toISOString() };
	};
	/** An expired lease is still its holder's until another takes it. */
	const isHolder = ({ name, holder, epoch }: Lease): boolean => {
		const lease = state.leases.get(name);
		return lease?.holder === holder && lease.epoch === epoch;
	};
	return {
		check: async () => [{ severity: "ok", message: "history is in this process's memory and goes with it" }],
		saveRun: async (run) => {
			state.runs.set(run.run_id, structuredClone(run));
		},
		run: async (runId) => {
			const exact = state.runs.get(runId);
			if (exact !== undefined) return structuredClone(exact);
			const matching = [...state.runs.values()].filter((run) => run.run_id.startsWith(runId));
			return matching.length === 1 ? structuredClone(matching[0]!) : null;
		},
		runs: async ({ pipeline, limit }) =>
			[...state.runs.values()]
				.filter((run) => pipeline === undefined || run.pipeline === pipeline)
				.reverse()
				.sort((a, b) => (a.started_at < b.started_at ? 1 : a.started_at > b.started_at ? -1 : 0))
				.slice(0, limit)
				.map((run) => structuredClone(run)),
		appendLog: async (runId, lines) => {
			state.logs.set(runId, [...(state.logs.get(runId) ?? []), ...structuredClone(lines)]);
		},
		log: async (runId, task) =>
			structuredClone((state.logs.get(runId) ?? []).filter((line) => task === undefined || line.task === task)),
		acquireLease: async (name, holder, durationMs) => {
			if (held(name) !== null) return null;
			const epoch = (state.leases.get(name)?.epoch ?? 0) + 1;
			const expiresAtMs = now() + durationMs;
			state.leases.set(name, { holder, epoch, expiresAtMs });
			return { name, holder, epoch, expiresAt: new Date(expiresAtMs).toISOString() };
		},
		renewLease: async (lease, durationMs) => {
			if (!isHolder(lease)) return false;
			const { name, holder, epoch } = lease;
			state.leases.set(name, { holder, epoch, expiresAtMs: now() + durationMs });
			return true;
		},
		releaseLease: async (lease) => {
			if (isHolder(lease)) state.leases.set(lease.name, { holder: null, epoch: lease.epoch, expiresAtMs: 0 });
		},
		leaseHolder: async (name) => held(name),
		savePositions: async (pipeline, positions) => {
			const known = state.positions.get(pipeline) ?? new Map<string, StoredPosition>();
			for (const position of positions) known.set(position.stream, { ...position });
			state.positions.set(pipeline, known);
		},
		positions: async (pipeline) => [...(state.positions.get(pipeline)?.values() ?? [])].map((row) => ({ ...row })),
		lastSuccesses: async (pipeline) => {
			const successes = [...state.runs.values()]
				.filter((run) => run.pipeline === pipeline && run.stage !== "extract")
				.flatMap(({ tables, interval, finished_at, started_at }) =>
					tables
						.filter((table) => table.state === "succeeded")
						.map(({ table, mode }) => ({
							table,
							at: finished_at ?? started_at,
							end: mode === "interval" ? (interval?.end ?? null) : null,
						})),
				);
			const last = new Map<string, string>();
			for (const { table, at, end } of successes) {
				const isOld = end !== null && successes.some((other) => other.table === table && (other.end ?? "") > end);
				if (!isOld && at > (last.get(table) ?? "")) last.set(table, at);
			}
			return [...last].sort(([a], [b]) => (a < b ? -1 : 1)).map(([table, at]) => ({ table, at }));
		},
		alerts: async (pipeline) => structuredClone([...(state.alerts.get(pipeline) ?? [])]),
		changeAlerts: async (pipeline, change) => {
			const entries = structuredClone([...change(structuredClone(state.alerts.get(pipeline) ?? []))]);
			state.alerts.set(pipeline, entries);
			return structuredClone(entries);
		},
		[Symbol.asyncDispose]: async () => {},
	};
}
