import type { Arguments } from "../arguments.ts";
import type { VerbContext, VerbResult } from "../context.ts";
import { usageError } from "../output.ts";
import { openTokens, operatorName } from "./serve-token.ts";

/** `headrace serve token revoke <token>`: by its id or, when only one has it, its name. */
export async function run(context: VerbContext, args: Arguments): Promise<VerbResult> {
	const { output } = context;
	const wanted = args.required(0);
	await using state = await openTokens(context);
	const { tokenItem } = await import("../../server/identities.ts");
	const open = (await state.access.tokens()).filter(({ revokedAt }) => revokedAt === null);
	const found = open.filter(({ tokenId, name }) => tokenId === wanted || name === wanted);
	const [token] = found;
	if (token === undefined)
		throw usageError(`there is no token ${JSON.stringify(wanted)}`, "See `headrace serve token list`.");
	if (found.length > 1)
		throw usageError(`${found.length} tokens are named ${wanted}`, "Give the id: see `headrace serve token list`.");
	const at = new Date().toISOString();
	const revoked = await state.access.revokeToken(token.tokenId, at);
	await state.server.addAudit({
		at,
		who: operatorName(context.env),
		role: null,
		via: "command",
		address: null,
		action: "token revoke",
		subject: `${token.name} (${token.tokenId})`,
		outcome: "done",
		detail: "",
	});
	output.note(`token ${token.tokenId} of ${token.name} is revoked, with the sessions that it opened`);
	return { data: { token: revoked === null ? null : tokenItem(revoked) } };
}
