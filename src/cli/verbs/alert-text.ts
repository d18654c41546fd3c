import type { WaitingAlert } from "../../app/api.ts";
import { timeText } from "../../observe/format.ts";
import { printable } from "../../observe/terminal.ts";

/** `alarm not sent: ops is to be told that prod.orders failed, since …: channel ops: …`. */
export function waitingText({ channel, event, table, since, failure }: WaitingAlert): string {
	const about = table === null ? event : `${event} ${printable(table)}`;
	const why = failure === null ? "" : `: ${printable(failure)}`;
	return `alarm not sent to ${channel} yet (${about}, ${timeText(since)})${why}; the next run tries again`;
}
