import { quoteIdentifier, quoteLiteral } from "../sql-text.ts";
import { publicationList } from "./peek.ts";
import { formatLsn } from "./position.ts";

const VERSION_STREAMING = 140000;

/**
 * START_REPLICATION of a slot. Transactions that outgrow logical_decoding_work_mem come while they are in progress from
 * 14 on. Changes that the source itself got by replication are changes too, so no origin is left out.
 * https://www.postgresql.org/docs/current/protocol-logical-replication.html
 */
export function startCommand(slot: string, from: bigint, publications: readonly string[], version: number): string {
	const options: [string, string][] = [
		["proto_version", version >= VERSION_STREAMING ? "2" : "1"],
		["publication_names", publicationList(publications)],
		...(version >= VERSION_STREAMING ? [["streaming", "on"] as [string, string]] : []),
	];
	const list = options.map(([name, value]) => `${name} ${quoteLiteral(value)}`).join(", ");
	return `START_REPLICATION SLOT ${quoteIdentifier(slot)} LOGICAL ${formatLsn(from)} (${list})`;
}
