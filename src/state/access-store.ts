import type { StateDatabase } from "./database.ts";
import type { Role, SessionRow, TokenRow } from "./server-rows.ts";
import { all, first, type Row, run, textOf, textOrNull, type Work } from "./work.ts";

/** A token that is used all the time is not written each time. */
const USED_EVERY_MS = 60_000;

/** Who may use the server: API tokens and browser sessions, by the SHA-256 of what is shown. */
export class AccessStore {
	readonly #database: StateDatabase;

	constructor(database: StateDatabase) {
		this.#database = database;
	}

	async addToken(token: TokenRow): Promise<void> {
		await this.#database.transaction(() =>
			run(
				`INSERT INTO api_tokens (token_id, hash, name, role, created_at, created_by, expires_at)
				VALUES ($1, $2, $3, $4, $5, $6, $7)`,
				token.tokenId,
				token.hash,
				token.name,
				token.role,
				token.createdAt,
				token.createdBy,
				token.expiresAt,
			),
		);
	}

	/** Oldest first, with those that no longer count. */
	async tokens(): Promise<TokenRow[]> {
		const rows = await this.#database.use(() => all("SELECT * FROM api_tokens ORDER BY created_at, token_id"));
		return rows.map(tokenOf);
	}

	/** The token of this hash while it counts: not revoked, not past its end. Notes that it was used. */
	async useToken(hash: string, nowMs: number): Promise<TokenRow | null> {
		const row = await this.#database.use(() => first("SELECT * FROM api_tokens WHERE hash = $1", hash));
		if (row === null) return null;
		const token = tokenOf(row);
		if (!counts(token, nowMs)) return null;
		const { lastUsedAt } = token;
		if (lastUsedAt === null || nowMs - Date.parse(lastUsedAt) > USED_EVERY_MS)
			await this.#database.transaction(() =>
				run("UPDATE api_tokens SET last_used_at = $1 WHERE hash = $2", new Date(nowMs).toISOString(), hash),
			);
		return token;
	}

	/** Takes a token back, and ends the sessions that it opened. Null when there is none; twice is harmless. */
	revokeToken(tokenId: string, at: string): Promise<TokenRow | null> {
		return this.#database.transaction(function* () {
			yield* run("UPDATE api_tokens SET revoked_at = $1 WHERE token_id = $2 AND revoked_at IS NULL", at, tokenId);
			yield* run("DELETE FROM sessions WHERE token_id = $1", tokenId);
			return yield* tokenNamed(tokenId);
		});
	}

	async addSession(session: SessionRow, nowMs: number): Promise<void> {
		await this.#database.transaction(function* () {
			yield* run("DELETE FROM sessions WHERE expires_at < $1", new Date(nowMs).toISOString());
			yield* run(
				"INSERT INTO sessions (hash, name, role, token_id, expires_at) VALUES ($1, $2, $3, $4, $5)",
				session.hash,
				session.name,
				session.role,
				session.tokenId,
				session.expiresAt,
			);
		});
	}

	/** The session of this hash while it lasts, and while the token that opened it counts. */
	session(hash: string, nowMs: number): Promise<SessionRow | null> {
		return this.#database.use(function* () {
			const row = yield* first("SELECT name, role, token_id, expires_at FROM sessions WHERE hash = $1", hash);
			if (row === null) return null;
			const [tokenId, expiresAt] = [textOrNull(row, "token_id"), textOf(row, "expires_at")];
			if (Date.parse(expiresAt) <= nowMs) return null;
			if (tokenId !== null) {
				const token = yield* tokenNamed(tokenId);
				if (token === null || !counts(token, nowMs)) return null;
			}
			return { hash, name: textOf(row, "name"), role: textOf(row, "role") as Role, tokenId, expiresAt };
		});
	}

	async endSession(hash: string): Promise<void> {
		await this.#database.transaction(() => run("DELETE FROM sessions WHERE hash = $1", hash));
	}
}

function* tokenNamed(tokenId: string): Work<TokenRow | null> {
	const row = yield* first("SELECT * FROM api_tokens WHERE token_id = $1", tokenId);
	return row === null ? null : tokenOf(row);
}

function counts({ revokedAt, expiresAt }: TokenRow, nowMs: number): boolean {
	return revokedAt === null && (expiresAt === null || Date.parse(expiresAt) > nowMs);
}

function tokenOf(row: Row): TokenRow {
	return {
		tokenId: textOf(row, "token_id"),
		hash: textOf(row, "hash"),
		name: textOf(row, "name"),
		role: textOf(row, "role") as Role,
		createdAt: textOf(row, "created_at"),
		createdBy: textOf(row, "created_by"),
		lastUsedAt: textOrNull(row, "last_used_at"),
		expiresAt: textOrNull(row, "expires_at"),
		revokedAt: textOrNull(row, "revoked_at"),
	};
}
