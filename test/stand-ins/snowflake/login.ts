import { createHash, createPublicKey, randomBytes, timingSafeEqual, verify } from "node:crypto";
import { Refused } from "./errors.ts";
import { SessionState } from "./session.ts";
import type { User, World } from "./world.ts";

export interface LoginRequest {
	readonly LOGIN_NAME?: string;
	readonly ACCOUNT_NAME?: string;
	readonly PASSWORD?: string;
	readonly AUTHENTICATOR?: string;
	readonly TOKEN?: string;
}

/** A login by password, key pair or OAuth token. @throws Refused with the codes of Snowflake's drivers */
export async function login(world: World, data: LoginRequest, query: URLSearchParams): Promise<SessionState> {
	const { name, user } = authenticate(world, data);
	const role = unquoted(query.get("roleName")) ?? user.defaultRole;
	if (!user.roles.includes(role))
		throw new Refused(
			"390189",
			"08001",
			`Role '${role}' specified in the connect string does not exist or not authorized.`,
		);
	const rights = world.roles.get(role)!;
	const warehouse = unquoted(query.get("warehouse"));
	if (warehouse !== null && (!world.warehouses.has(warehouse) || !rights.warehouses.includes(warehouse)))
		throw new Refused("390201", "08001", "The requested warehouse does not exist or not authorized.");
	const database = unquoted(query.get("databaseName"));
	if (database !== null && database !== world.catalog.database)
		throw new Refused("390201", "08001", "The requested database does not exist or not authorized.");
	const session = new SessionState(world, await world.engine.connect(), {
		id: world.nextId(),
		user: name,
		token: token(),
		masterToken: token(),
		role,
		warehouse,
		database,
		schema: unquoted(query.get("schemaName")) ?? "PUBLIC",
	});
	world.sessions.set(session.token, session);
	return session;
}

export function token(): string {
	return randomBytes(24).toString("base64url");
}

/** https://docs.snowflake.com/en/sql-reference/identifiers-syntax */
function unquoted(name: string | null): string | null {
	if (name === null || name === "") return null;
	return name.startsWith('"') ? name.slice(1, -1) : name.toUpperCase();
}

function authenticate(world: World, data: LoginRequest): { name: string; user: User } {
	if (data.AUTHENTICATOR === "OAUTH") {
		for (const [name, user] of world.users)
			if (user.oauthToken !== undefined && same(user.oauthToken, data.TOKEN ?? "")) return { name, user };
		throw new Refused("390303", "08001", "Invalid OAuth access token. ");
	}
	const name = (data.LOGIN_NAME ?? "").toUpperCase();
	const user = world.users.get(name);
	if (data.AUTHENTICATOR === "SNOWFLAKE_JWT") {
		if (user?.publicKey === undefined || !isSigned(world, name, user.publicKey, data.TOKEN ?? ""))
			throw new Refused("390144", "08001", "JWT token is invalid. [00000000-0000-0000-0000-000000000000]");
		return { name, user };
	}
	if (user?.password === undefined || !same(user.password, data.PASSWORD ?? ""))
		throw new Refused("390100", "08001", "Incorrect username or password was specified.");
	return { name, user };
}

function same(a: string, b: string): boolean {
	const digest = (text: string) => createHash("sha256").update(text).digest();
	return timingSafeEqual(digest(a), digest(b));
}

/**
 * https://docs.snowflake.com/en/developer-guide/sql-api/authenticating#using-key-pair-authentication: signed by the
 * user's key, issued by `ACCOUNT.USER.SHA256:<fingerprint of the public key>`, not expired.
 */
function isSigned(world: World, name: string, publicKey: string, jwt: string): boolean {
	const [header, payload, signature] = jwt.split(".");
	if (header === undefined || payload === undefined || signature === undefined) return false;
	const key = createPublicKey(publicKey);
	if (!verify("RSA-SHA256", Buffer.from(`${header}.${payload}`), key, Buffer.from(signature, "base64url")))
		return false;
	const claims = JSON.parse(Buffer.from(payload, "base64url").toString()) as { iss: string; sub: string; exp: number };
	const fingerprint = createHash("sha256")
		.update(key.export({ format: "der", type: "spki" }))
		.digest("base64");
	const subject = `${world.account.toUpperCase()}.${name}`;
	// The driver counts in milliseconds, the document in seconds.
	const expires = claims.exp > 1e11 ? claims.exp : claims.exp * 1000;
	return claims.sub === subject && claims.iss === `${subject}.SHA256:${fingerprint}` && expires > Date.now();
}
