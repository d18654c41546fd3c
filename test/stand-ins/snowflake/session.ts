import type { EngineConnection } from "../../../src/engine/index.ts";
import type { Table } from "./catalog.ts";
import type { World } from "./world.ts";

export interface Transaction {
	readonly id: string;
	readonly name: string;
	readonly startedAt: Date;
}

/** A login, with its transaction, its temporary tables and its parameters. */
export class SessionState {
	readonly id: string;
	readonly user: string;
	readonly world: World;
	readonly connection: EngineConnection;
	readonly temporary = new Map<string, Table>();
	readonly parameters = new Map<string, string>();
	token: string;
	masterToken: string;
	role: string;
	warehouse: string | null;
	database: string | null;
	schema: string;
	transaction: Transaction | null = null;
	#begun = false;
	#ending: Promise<void> | null = null;
	/** One statement at a time. */
	tail: Promise<unknown> = Promise.resolve();

	constructor(
		world: World,
		connection: EngineConnection,
		login: Pick<SessionState, "id" | "user" | "token" | "masterToken" | "role" | "warehouse" | "database" | "schema">,
	) {
		this.world = world;
		this.connection = connection;
		this.id = login.id;
		this.user = login.user;
		this.token = login.token;
		this.masterToken = login.masterToken;
		this.role = login.role;
		this.warehouse = login.warehouse;
		this.database = login.database;
		this.schema = login.schema;
	}

	get autocommit(): boolean {
		return this.parameters.get("AUTOCOMMIT") !== "FALSE";
	}

	get lockTimeoutMs(): number {
		return Number(this.parameters.get("LOCK_TIMEOUT") ?? 43_200) * 1000;
	}

	begin(name = ""): void {
		this.transaction ??= { id: this.world.nextId(), name, startedAt: new Date() };
	}

	/**
	 * Before a statement of the open transaction. The engine's transaction is a snapshot of its first statement, where
	 * Snowflake's reads anew with each: so it begins with the lock, and nothing that it reads changes before its end.
	 */
	async enter(): Promise<void> {
		await this.world.lock.take(this, this.lockTimeoutMs);
		if (this.#begun) return;
		await this.connection.execute("BEGIN TRANSACTION");
		this.#begun = true;
	}

	async commit(): Promise<void> {
		await this.#end("COMMIT");
	}

	async rollback(): Promise<void> {
		await this.#end("ROLLBACK");
	}

	/** Once, for all who ask: a transaction is aborted by others while its own session is logged out. */
	async #end(how: "COMMIT" | "ROLLBACK"): Promise<void> {
		this.#ending ??= this.#endNow(how).finally(() => {
			this.#ending = null;
		});
		await this.#ending;
	}

	async #endNow(how: "COMMIT" | "ROLLBACK"): Promise<void> {
		try {
			if (this.#begun) await this.connection.execute(how);
		} finally {
			this.#begun = false;
			this.transaction = null;
			this.world.lock.release(this);
		}
	}

	/** A statement that commits by itself. */
	async alone<T>(permanent: boolean, work: () => Promise<T>): Promise<T> {
		if (!permanent) return work();
		await this.world.lock.take(this, this.lockTimeoutMs);
		try {
			return await work();
		} finally {
			this.world.lock.release(this);
		}
	}

	/** Logged out, or gone: what is open is rolled back, temporary tables go. */
	async end(): Promise<void> {
		this.world.sessions.delete(this.token);
		this.world.lock.cancel(this);
		await this.tail.catch(() => {});
		await this.rollback().catch(() => {});
		await this.connection[Symbol.asyncDispose]();
	}
}
