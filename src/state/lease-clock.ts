import { readFileSync } from "node:fs";

/** A moment on two clocks: the wall's, which people may set, and the machine's since boot, which nobody can. */
export interface LeaseMoment {
	readonly wallMs: number;
	/** Null where the machine does not tell, and where the wall's clock is another machine's. */
	readonly boot: { readonly id: string; readonly uptimeMs: number } | null;
	/** The boot of the machine whose process asks, where `boot` does not tell. */
	readonly bootId?: string | null;
}

/** Now, on both clocks. The machine's clock goes on during sleep: proc_uptime(5). */
export function leaseNow(): LeaseMoment {
	const wallMs = Date.now();
	try {
		const id = bootId() ?? "";
		const uptimeMs = Math.round(Number(readFileSync("/proc/uptime", "latin1").split(" ")[0]) * 1000);
		return { wallMs, boot: id === "" || !Number.isFinite(uptimeMs) ? null : { id, uptimeMs } };
	} catch {
		return { wallMs, boot: null };
	}
}

/** Names this boot of this machine; null where it does not tell. random(4) */
export function bootId(): string | null {
	try {
		return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim() || null;
	} catch {
		return null;
	}
}

export function momentAfter(moment: LeaseMoment, durationMs: number): LeaseMoment {
	return {
		...moment,
		wallMs: moment.wallMs + durationMs,
		boot: moment.boot === null ? null : { id: moment.boot.id, uptimeMs: moment.boot.uptimeMs + durationMs },
	};
}

/** Whether `now` is past `until`; a clock that was set in between does not matter on the same boot of the same machine. */
export function isPast(until: LeaseMoment, now: LeaseMoment): boolean {
	if (until.boot !== null && now.boot !== null && until.boot.id === now.boot.id)
		return now.boot.uptimeMs >= until.boot.uptimeMs;
	return now.wallMs >= until.wallMs;
}
