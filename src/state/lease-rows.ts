import type { DatabaseSync } from "node:sqlite";
import { isPast, type LeaseMoment } from "./lease-clock.ts";
import { holderIsDead } from "./process-identity.ts";

export interface LeaseRow {
	readonly epoch: number;
	readonly holder: string | null;
	readonly expires_ms: number;
	readonly boot_id: string | null;
	readonly expires_uptime_ms: number | null;
}

export function leaseRow(database: DatabaseSync, name: string): LeaseRow | null {
	const row = database.prepare("SELECT * FROM leases WHERE name = ?").get(name);
	return row === undefined ? null : (row as unknown as LeaseRow);
}

/** Whether somebody alive has it, and its time is not over. */
export function isHeld(row: LeaseRow, now: LeaseMoment): boolean {
	if (row.holder === null) return false;
	const boot =
		row.boot_id === null || row.expires_uptime_ms === null
			? null
			: { id: row.boot_id, uptimeMs: row.expires_uptime_ms };
	return !isPast({ wallMs: row.expires_ms, boot }, now) && !holderIsDead(row.holder);
}

export function momentColumns(moment: LeaseMoment): [number, string | null, number | null] {
	return [moment.wallMs, moment.boot?.id ?? null, moment.boot?.uptimeMs ?? null];
}
