import type { Lease } from "../core/state-store.ts";
import type { StateDatabase } from "./database.ts";
import { isPast, type LeaseMoment, momentAfter } from "./lease-clock.ts";
import { first, numberOf, numberOrNull, type Row, run, type SqlValue, textOrNull, type Work } from "./work.ts";

interface LeaseRow {
	readonly epoch: number;
	readonly holder: string | null;
	readonly expiresMs: number;
	readonly bootId: string | null;
	readonly expiresUptimeMs: number | null;
}

function leaseOf(row: Row): LeaseRow {
	return {
		epoch: numberOf(row, "epoch"),
		holder: textOrNull(row, "holder"),
		expiresMs: numberOf(row, "expires_ms"),
		bootId: textOrNull(row, "boot_id"),
		expiresUptimeMs: numberOrNull(row, "expires_uptime_ms"),
	};
}

/** Whether somebody alive has it, and its time is not over. */
export function isHeld(database: StateDatabase, row: Row, now: LeaseMoment): boolean {
	const { holder, bootId, expiresMs, expiresUptimeMs } = leaseOf(row);
	if (holder === null) return false;
	const boot = bootId === null || expiresUptimeMs === null ? null : { id: bootId, uptimeMs: expiresUptimeMs };
	return !isPast({ wallMs: expiresMs, boot }, now) && !database.isDead(holder, bootId);
}

/** When a lease ends, and on which boot of which machine its holder is. */
function columnsOf(until: LeaseMoment): [number, string | null, number | null] {
	return [until.wallMs, until.boot?.id ?? until.bootId ?? null, until.boot?.uptimeMs ?? null];
}

const LEASE = "SELECT epoch, holder, expires_ms, boot_id, expires_uptime_ms FROM leases WHERE name = $1";

export function* acquire(
	database: StateDatabase,
	name: string,
	holder: string,
	durationMs: number,
): Work<Lease | null> {
	const row = yield* first(LEASE, name);
	const now = yield* database.now();
	if (row !== null && isHeld(database, row, now)) return null;
	const until = momentAfter(now, durationMs);
	const epoch = (row === null ? 0 : leaseOf(row).epoch) + 1;
	const values: SqlValue[] = [name, epoch, holder, ...columnsOf(until)];
	yield* run(
		`INSERT INTO leases (name, epoch, holder, expires_ms, boot_id, expires_uptime_ms) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (name) DO UPDATE SET epoch = excluded.epoch, holder = excluded.holder,
			expires_ms = excluded.expires_ms, boot_id = excluded.boot_id, expires_uptime_ms = excluded.expires_uptime_ms`,
		...values,
	);
	return { name, holder, epoch, expiresAt: new Date(until.wallMs).toISOString() };
}

export function* renew(database: StateDatabase, { name, holder, epoch }: Lease, durationMs: number): Work<boolean> {
	const until = momentAfter(yield* database.now(), durationMs);
	const renewed = yield* run(
		`UPDATE leases SET expires_ms = $1, boot_id = $2, expires_uptime_ms = $3
		WHERE name = $4 AND holder = $5 AND epoch = $6`,
		...columnsOf(until),
		name,
		holder,
		epoch,
	);
	return renewed === 1;
}

/** The row stays with its epoch, so that the next holder's epoch is higher. */
export function* release({ name, holder, epoch }: Lease): Work<void> {
	yield* run("UPDATE leases SET holder = NULL WHERE name = $1 AND holder = $2 AND epoch = $3", name, holder, epoch);
}

export function* holderOf(database: StateDatabase, name: string): Work<Lease | null> {
	const row = yield* first(LEASE, name);
	if (row === null || !isHeld(database, row, yield* database.now())) return null;
	const { holder, epoch, expiresMs } = leaseOf(row);
	return holder === null ? null : { name, holder, epoch, expiresAt: new Date(expiresMs).toISOString() };
}
