import { timeText } from "../../observe/format.ts";
import { printable } from "../../observe/terminal.ts";
import { textTable } from "../../observe/text-table.ts";
import type { Arguments } from "../arguments.ts";
import type { VerbContext, VerbResult } from "../context.ts";
import { openTokens } from "./serve-token.ts";

/** `headrace serve token list` */
export async function run(context: VerbContext, _args: Arguments): Promise<VerbResult> {
	const { output } = context;
	await using state = await openTokens(context);
	const { tokenItem } = await import("../../server/identities.ts");
	const tokens = (await state.access.tokens()).map(tokenItem);
	if (tokens.length === 0) output.note("no tokens; make one with `headrace serve token add <name>`");
	const time = (at: string | null) => (at === null ? "–" : timeText(at));
	const lines = textTable(
		[{ title: "token" }, { title: "name" }, { title: "role" }, { title: "used" }, { title: "until" }],
		tokens.map(({ token_id, name, role, last_used_at, expires_at, revoked_at }) => [
			token_id,
			printable(name),
			role,
			time(last_used_at),
			revoked_at === null ? time(expires_at) : `revoked ${timeText(revoked_at)}`,
		]),
	);
	if (tokens.length > 0) for (const line of lines) output.print(line);
	return { data: { tokens } };
}
