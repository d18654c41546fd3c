import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { Service } from "../app/service/service.ts";
import { HeadraceError } from "../core/index.ts";
import type { Role, TokenItem } from "./api.ts";
import { RequestFailure } from "./failure.ts";
import { RateLimit } from "./rate-limit.ts";

const SESSION_MS = 12 * 3_600_000;
/** The link of the start. */
const LINK_MS = 24 * 3_600_000;
const TOKEN_PREFIX = "hdr_";
/** Refused logins of one address, within the window. */
const FAILURES_MAX = 10;
const FAILURES_WINDOW_MS = 60_000;

/** Who asks. */
export interface Identity {
	readonly name: string;
	readonly role: Role;
	readonly via: "cookie" | "token";
	readonly expiresAt: string | null;
	/** Of the cookie. */
	readonly sessionHash: string | null;
}

const RANKS: Readonly<Record<Role, number>> = { viewer: 0, operator: 1, admin: 2 };

export function mayAct(role: Role, needed: Role): boolean {
	return RANKS[role] >= RANKS[needed];
}

/**
 * Who may use the server. What is shown to people has 256 random bits and is kept as its SHA-256 only: nothing that
 * could be guessed is worth a slow hash.
 */
export class Identities {
	readonly #service: Service;
	readonly #failures: RateLimit;
	#link: { readonly hash: Buffer; readonly untilMs: number } | null = null;

	constructor(service: Service) {
		this.#service = service;
		this.#failures = new RateLimit({
			countMax: FAILURES_MAX,
			windowMs: FAILURES_WINDOW_MS,
			nowMs: () => this.#nowMs(),
			message: "too many refused logins from this address",
		});
	}

	/** The token of a link that logs in once, as admin. A new one takes the place of the last. */
	newLink(): string {
		const token = randomBytes(32).toString("base64url");
		this.#link = { hash: sha256(token), untilMs: this.#nowMs() + LINK_MS };
		return token;
	}

	/** Whether there is an API token that counts. */
	async hasTokens(): Promise<boolean> {
		const now = new Date(this.#nowMs()).toISOString();
		const tokens = await this.#access.tokens();
		return tokens.some((token) => token.revokedAt === null && (token.expiresAt ?? "~") > now);
	}

	/** The identity of a session's cookie or of a bearer token; null when there is none that counts. */
	async of(cookie: string | undefined, bearer: string | undefined, address: string): Promise<Identity | null> {
		const now = this.#nowMs();
		if (bearer !== undefined) {
			const token = await this.#access.useToken(hashOf(bearer), now);
			if (token === null) {
				this.#failures.check(address);
				this.#failures.count(address);
				return null;
			}
			return { name: token.name, role: token.role, via: "token", expiresAt: token.expiresAt, sessionHash: null };
		}
		if (cookie === undefined) return null;
		const session = await this.#access.session(hashOf(cookie), now);
		if (session === null) return null;
		const { name, role, expiresAt, hash } = session;
		return { name, role, via: "cookie", expiresAt, sessionHash: hash };
	}

	/**
	 * Opens a session with the link's token, which is used up by it, or with an API token.
	 * @throws RequestFailure 401, 429
	 */
	async logIn(
		token: string,
		address: string,
	): Promise<{ readonly cookie: string; readonly seconds: number; readonly identity: Identity }> {
		this.#failures.check(address);
		const now = this.#nowMs();
		const found = this.#useLink(token) ?? (await this.#access.useToken(hashOf(token), now));
		if (found === null) {
			this.#failures.count(address);
			throw new RequestFailure(401, new HeadraceError("E_ACCESS", "this token is not known, used up, or over"));
		}
		this.#failures.forget(address);
		const untilMs = Math.min(
			now + SESSION_MS,
			found.expiresAt === null ? Number.POSITIVE_INFINITY : Date.parse(found.expiresAt),
		);
		const expiresAt = new Date(untilMs).toISOString();
		const cookie = randomBytes(32).toString("base64url");
		const hash = hashOf(cookie);
		const { name, role, tokenId } = found;
		await this.#access.addSession({ hash, name, role, tokenId, expiresAt }, now);
		const identity = { name, role, via: "cookie", expiresAt, sessionHash: hash } as const;
		return { cookie, seconds: Math.floor((untilMs - now) / 1000), identity };
	}

	async logOut({ sessionHash }: Identity): Promise<void> {
		if (sessionHash !== null) await this.#access.endSession(sessionHash);
	}

	#useLink(token: string): { name: string; role: Role; tokenId: string | null; expiresAt: string | null } | null {
		const link = this.#link;
		if (link === null || this.#nowMs() > link.untilMs || !timingSafeEqual(link.hash, sha256(token))) return null;
		this.#link = null;
		return { name: "link", role: "admin", tokenId: null, expiresAt: null };
	}

	#nowMs(): number {
		return this.#service.clock.nowMs();
	}

	get #access() {
		return this.#service.state.access;
	}
}

function sha256(text: string): Buffer {
	return createHash("sha256").update(text).digest();
}

function hashOf(text: string): string {
	return sha256(text).toString("hex");
}

/** A new API token and what is kept of it. */
export function makeToken(): { readonly token: string; readonly hash: string; readonly tokenId: string } {
	const token = `${TOKEN_PREFIX}${randomBytes(32).toString("base64url")}`;
	return { token, hash: hashOf(token), tokenId: randomBytes(6).toString("hex") };
}

export function tokenItem(row: Awaited<ReturnType<Service["state"]["access"]["tokens"]>>[number]): TokenItem {
	return {
		token_id: row.tokenId,
		name: row.name,
		role: row.role,
		created_at: row.createdAt,
		created_by: row.createdBy,
		last_used_at: row.lastUsedAt,
		expires_at: row.expiresAt,
		revoked_at: row.revokedAt,
	};
}
