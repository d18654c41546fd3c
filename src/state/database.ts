import type { Finding } from "../core/port.ts";
import type { Lease } from "../core/state-store.ts";
import type { LeaseMoment } from "./lease-clock.ts";
import type { Work } from "./work.ts";

/** Where a project's state is kept: a SQLite file, or a schema of PostgreSQL that several servers share. */
export interface StateDatabase extends AsyncDisposable {
	/** For messages: the file, or the server and the schema. */
	readonly place: string;
	/** Whether processes of other machines use it too. */
	readonly isShared: boolean;
	/** The lease whose holder writes; null: whoever. */
	readonly fence: Lease | null;
	/**
	 * Reads. May do the work again when the database broke in between.
	 * @throws E_STATE, E_NO_SPACE, E_CONNECT
	 */
	use<Result>(work: () => Work<Result>): Promise<Result>;
	/**
	 * Writes, in one transaction that nobody else's writes come in between.
	 * @throws E_FENCED when the lease is another's, and what `use` throws
	 */
	transaction<Result>(work: () => Work<Result>): Promise<Result>;
	/** The same database, written to only while this lease is not another's; null: by whoever. */
	fencedBy(lease: Lease | null): StateDatabase;
	/** Now, by the clock that all who share it go by. */
	now(): Work<LeaseMoment>;
	/** The same without asking, milliseconds since 1970: as it was told with the last write. */
	nowMs(): number;
	/** Whether the process that gave itself this name, on a machine that booted so, is known to be gone. */
	isDead(holder: string, bootId: string | null): boolean;
	/** A number that changes when another process has written. */
	dataVersion(): Promise<number>;
	check(): Promise<Finding[]>;
	/** Gives back the space of what was deleted. */
	tidy(): Promise<void>;
}
