import type { Arguments } from "../arguments.ts";
import type { VerbContext, VerbResult } from "../context.ts";
import { usageError } from "../output.ts";
import { openTokens, operatorName } from "./serve-token.ts";

const ROLES = ["viewer", "operator", "admin"] as const;
const DAY_MS = 86_400_000;

/** `headrace serve token add <name>` */
export async function run(context: VerbContext, args: Arguments): Promise<VerbResult> {
	const { output } = context;
	const name = args.required(0);
	if (!/^[\w.@-]{1,60}$/.test(name)) throw usageError("a token's name has letters, digits, _ . @ and -, at most 60");
	const asked = args.text("role") ?? "viewer";
	const role = ROLES.find((each) => each === asked);
	if (role === undefined) throw usageError(`--role is viewer, operator or admin, not ${JSON.stringify(asked)}`);
	const days = args.count("days", "--days");
	const { makeToken, tokenItem } = await import("../../server/identities.ts");
	const { token, hash, tokenId } = makeToken();
	const now = Date.now();
	const row = {
		tokenId,
		hash,
		name,
		role,
		createdAt: new Date(now).toISOString(),
		createdBy: operatorName(context.env),
		lastUsedAt: null,
		expiresAt: days === undefined ? null : new Date(now + days * DAY_MS).toISOString(),
		revokedAt: null,
	};
	await using state = await openTokens(context);
	await state.access.addToken(row);
	await state.server.addAudit({
		at: row.createdAt,
		who: row.createdBy,
		role: null,
		via: "command",
		address: null,
		action: "token add",
		subject: `${name} (${tokenId})`,
		outcome: "done",
		detail: `role ${role}`,
	});
	output.printText(token);
	output.note(`token ${tokenId} of ${name}, ${role}: it is shown only now`);
	return { data: { token, item: tokenItem(row) } };
}
