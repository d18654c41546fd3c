import { HeadraceError, toHeadraceErrors } from "../core/errors.ts";
import type { Finding } from "../core/port.ts";
import type { Lease } from "../core/state-store.ts";
import type { StateDatabase } from "./database.ts";
import { fenced } from "./fence.ts";
import { bootId, type LeaseMoment } from "./lease-clock.ts";
import { SCHEMA_VERSION } from "./migrations.ts";
import { migrateSchema, newerState } from "./postgres-schema.ts";
import { SessionPool } from "./postgres-sessions.ts";
import { holderIsDead } from "./process-identity.ts";
import { type Answer, first, numberOf, type Row, storable, type Work } from "./work.ts";

/** A session of PostgreSQL, logged in; its values are texts. Statements wait for each other. */
export interface ServerSession {
	readonly broken: boolean;
	/** `user@host:port/database`. */
	readonly where: string;
	records(sql: string, parameters?: readonly unknown[]): Promise<Row[]>;
	execute(sql: string, parameters?: readonly unknown[]): Promise<{ readonly rows: number }>;
	/** Several statements without parameters in one round trip; the rows of each. */
	script(statements: readonly string[]): Promise<(readonly (string | null)[])[][]>;
	end(): Promise<void>;
	destroy(): void;
}

export interface ServerOptions {
	/** @throws E_CONNECT, E_LOGIN, E_TLS */
	readonly connect: () => Promise<ServerSession>;
	/** Holds everything, and is made when it is missing. */
	readonly schema: string;
}

/**
 * One writer at a time, whichever machine it is on: the row also counts what was written, tells whether a newer
 * Headrace has been here, and what time it is.
 */
const BEGIN_WRITE = [
	"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
	"UPDATE state_meta SET writes = writes + 1 RETURNING version, (extract(epoch FROM clock_timestamp()) * 1000)::bigint",
];
const BEGIN_READ = ["BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"];
/** What a server's clock differs by less than this is the way there and back. */
const CLOCK_TOLERANCE_MS = 250;

/** A project's state in a schema of PostgreSQL, shared by servers and commands on any machine. */
export class PostgresDatabase implements StateDatabase {
	readonly isShared = true;
	readonly place: string;
	readonly fence: Lease | null;
	readonly #shared: Shared;

	private constructor(place: string, shared: Shared, fence: Lease | null) {
		this.place = place;
		this.#shared = shared;
		this.fence = fence;
	}

	/**
	 * Connects, and makes or updates the schema.
	 * @throws E_CONNECT, E_LOGIN, E_TLS, E_RIGHTS, E_STATE when the schema is another program's or a newer Headrace's
	 */
	static async open({ connect, schema }: ServerOptions): Promise<PostgresDatabase> {
		const pool = new SessionPool(connect, schema);
		let place = "";
		try {
			await pool.use(async (session) => {
				place = `the state in ${session.where}, schema ${schema}`;
				await migrateSchema(session, schema, place);
			});
		} catch (error) {
			await pool.close();
			throw translated(error, place);
		}
		const database = new PostgresDatabase(place, { pool, ownWrites: 0, offsetMs: 0 }, null);
		await database.use(() => database.now());
		pool.patient = true;
		return database;
	}

	async use<Result>(work: () => Work<Result>): Promise<Result> {
		return this.#guarded(async (session) => {
			await session.script(BEGIN_READ);
			const result = await done(session, work());
			await session.execute("COMMIT");
			return result;
		});
	}

	async transaction<Result>(work: () => Work<Result>): Promise<Result> {
		return this.#guarded(async (session, isUnsure) => {
			const [, [row] = []] = await session.script(BEGIN_WRITE);
			const version = Number(row?.[0]);
			if (version !== SCHEMA_VERSION) throw newerState(this.place, version);
			this.#setClock(Number(row?.[1]));
			const result = await done(session, fenced(this.fence, work));
			// From here on nobody here can know whether it was done: what is done twice may count twice.
			isUnsure();
			await session.execute("COMMIT");
			this.#shared.ownWrites++;
			return result;
		});
	}

	fencedBy(lease: Lease | null): StateDatabase {
		return new PostgresDatabase(this.place, this.#shared, lease);
	}

	/** The server's clock: those of the machines that share it may differ. */
	*now(): Work<LeaseMoment> {
		const row = yield* first("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms");
		const wallMs = numberOf(row!, "now_ms");
		this.#setClock(wallMs);
		return { wallMs, boot: null, bootId: bootId() };
	}

	nowMs(): number {
		return Date.now() + this.#shared.offsetMs;
	}

	/** A name says nothing about the processes of other machines, even where they have the same one. */
	isDead(holder: string, madeOn: string | null): boolean {
		return madeOn !== null && madeOn === bootId() && holderIsDead(holder);
	}

	/** All writes less this process's own. */
	async dataVersion(): Promise<number> {
		const { ownWrites } = this.#shared;
		const row = await this.use(() => first("SELECT writes FROM state_meta"));
		return numberOf(row!, "writes") - ownWrites;
	}

	/** One finding: whether the server answers. */
	async check(): Promise<Finding[]> {
		try {
			await this.use(() => first("SELECT 1 AS answer"));
			return [{ severity: "ok", message: `${this.place} answers` }];
		} catch (thrown) {
			return toHeadraceErrors(thrown).map(({ message, hint }) => ({ severity: "warning", message, remedy: hint }));
		}
	}

	/** PostgreSQL does so by itself. */
	async tidy(): Promise<void> {}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.#shared.pool.close();
	}

	#setClock(serverMs: number): void {
		const offsetMs = serverMs - Date.now();
		if (Math.abs(offsetMs - this.#shared.offsetMs) > CLOCK_TOLERANCE_MS) this.#shared.offsetMs = offsetMs;
	}

	async #guarded<Result>(work: (session: ServerSession, isUnsure: () => void) => Promise<Result>): Promise<Result> {
		try {
			return await this.#shared.pool.use(async (session, isUnsure) => {
				try {
					return await work(session, isUnsure);
				} catch (error) {
					if (!session.broken) await session.execute("ROLLBACK");
					throw error;
				}
			});
		} catch (error) {
			throw translated(error, this.place);
		}
	}
}

/** What a state and its fenced views have in common. */
interface Shared {
	readonly pool: SessionPool;
	ownWrites: number;
	/** The server's clock less this machine's. */
	offsetMs: number;
}

/** Runs the statements of a work, each when the one before has answered. */
async function done<Result>(session: ServerSession, work: Work<Result>): Promise<Result> {
	let step = work.next();
	while (step.done !== true) {
		const { text, values, gives } = step.value;
		let answer: Answer;
		try {
			const parameters = values.map((value) => (typeof value === "number" ? String(value) : storable(value)));
			answer =
				gives === "rows"
					? { rows: await session.records(text, parameters), changed: 0 }
					: { rows: [], changed: (await session.execute(text, parameters)).rows };
		} catch (error) {
			step = work.throw(error);
			continue;
		}
		step = work.next(answer);
	}
	return step.value;
}

const TOLD = new Set(["E_CONNECT", "E_LOGIN", "E_TLS", "E_RIGHTS", "E_STATE", "E_FENCED", "E_USAGE", "E_NO_SPACE"]);

/** What went wrong, as something that went wrong with the state. */
function translated(thrown: unknown, place: string): unknown {
	if (!(thrown instanceof HeadraceError) || ["E_STATE", "E_FENCED", "E_USAGE"].includes(thrown.code)) return thrown;
	const code = thrown.code === "E_CONNECTION_LOST" ? "E_CONNECT" : TOLD.has(thrown.code) ? thrown.code : "E_STATE";
	const hint = code === "E_STATE" ? "Look into the server's log." : thrown.hint;
	const about = place === "" ? "the project's state" : place;
	return new HeadraceError(code, `${about}: ${thrown.message}`, { cause: thrown, hint });
}
