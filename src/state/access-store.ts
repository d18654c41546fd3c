import type { DurableDatabase } from "./database.ts";
import type { Role, SessionRow, TokenRow } from "./server-rows.ts";

/** A token that is used all the time is not written each time. */
const USED_EVERY_MS = 60_000;

/** Who may use the server: API tokens and browser sessions, by the SHA-256 of what is shown. */
export class AccessStore {
	readonly #database: DurableDatabase;

	constructor(database: DurableDatabase) {
		this.#database = database;
	}

	addToken(token: TokenRow): void {
		this.#database.transaction((database) => {
			database
				.prepare(
					`INSERT INTO api_tokens (token_id, hash, name, role, created_at, created_by, expires_at)
					VALUES (?, ?, ?, ?, ?, ?, ?)`,
				)
				.run(token.tokenId, token.hash, token.name, token.role, token.createdAt, token.createdBy, token.expiresAt);
		});
	}

	/** Oldest first, with those that no longer count. */
	tokens(): TokenRow[] {
		return this.#database.use((database) =>
			database
				.prepare("SELECT * FROM api_tokens ORDER BY created_at, token_id")
				.all()
				.map((row) => tokenOf(row as unknown as TokenColumns)),
		);
	}

	/** The token of this hash while it counts: not revoked, not past its end. Notes that it was used. */
	useToken(hash: string, nowMs: number): TokenRow | null {
		const row = this.#database.use((database) => database.prepare("SELECT * FROM api_tokens WHERE hash = ?").get(hash));
		if (row === undefined) return null;
		const token = tokenOf(row as unknown as TokenColumns);
		if (!counts(token, nowMs)) return null;
		if (token.lastUsedAt === null || nowMs - Date.parse(token.lastUsedAt) > USED_EVERY_MS)
			this.#database.transaction((database) => {
				database
					.prepare("UPDATE api_tokens SET last_used_at = ? WHERE hash = ?")
					.run(new Date(nowMs).toISOString(), hash);
			});
		return token;
	}

	/** Takes a token back, and ends the sessions that it opened. Null when there is none; twice is harmless. */
	revokeToken(tokenId: string, at: string): TokenRow | null {
		return this.#database.transaction((database) => {
			database
				.prepare("UPDATE api_tokens SET revoked_at = ? WHERE token_id = ? AND revoked_at IS NULL")
				.run(at, tokenId);
			database.prepare("DELETE FROM sessions WHERE token_id = ?").run(tokenId);
			const row = database.prepare("SELECT * FROM api_tokens WHERE token_id = ?").get(tokenId);
			return row === undefined ? null : tokenOf(row as unknown as TokenColumns);
		});
	}

	addSession(session: SessionRow, nowMs: number): void {
		this.#database.transaction((database) => {
			database.prepare("DELETE FROM sessions WHERE expires_at < ?").run(new Date(nowMs).toISOString());
			database
				.prepare("INSERT INTO sessions (hash, name, role, token_id, expires_at) VALUES (?, ?, ?, ?, ?)")
				.run(session.hash, session.name, session.role, session.tokenId, session.expiresAt);
		});
	}

	/** The session of this hash while it lasts, and while the token that opened it counts. */
	session(hash: string, nowMs: number): SessionRow | null {
		return this.#database.use((database) => {
			const row = database.prepare("SELECT * FROM sessions WHERE hash = ?").get(hash);
			if (row === undefined) return null;
			const { name, role, token_id, expires_at } = row as unknown as SessionColumns;
			if (Date.parse(expires_at) <= nowMs) return null;
			if (token_id !== null) {
				const token = database.prepare("SELECT * FROM api_tokens WHERE token_id = ?").get(token_id);
				if (token === undefined || !counts(tokenOf(token as unknown as TokenColumns), nowMs)) return null;
			}
			return { hash, name, role, tokenId: token_id, expiresAt: expires_at };
		});
	}

	endSession(hash: string): void {
		this.#database.transaction((database) => {
			database.prepare("DELETE FROM sessions WHERE hash = ?").run(hash);
		});
	}
}

function counts({ revokedAt, expiresAt }: TokenRow, nowMs: number): boolean {
	return revokedAt === null && (expiresAt === null || Date.parse(expiresAt) > nowMs);
}

interface TokenColumns {
	readonly token_id: string;
	readonly hash: string;
	readonly name: string;
	readonly role: Role;
	readonly created_at: string;
	readonly created_by: string;
	readonly last_used_at: string | null;
	readonly expires_at: string | null;
	readonly revoked_at: string | null;
}

interface SessionColumns {
	readonly name: string;
	readonly role: Role;
	readonly token_id: string | null;
	readonly expires_at: string;
}

function tokenOf(row: TokenColumns): TokenRow {
	return {
		tokenId: row.token_id,
		hash: row.hash,
		name: row.name,
		role: row.role,
		createdAt: row.created_at,
		createdBy: row.created_by,
		lastUsedAt: row.last_used_at,
		expiresAt: row.expires_at,
		revokedAt: row.revoked_at,
	};
}
