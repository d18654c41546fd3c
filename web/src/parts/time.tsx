import type { JSX } from "preact";
import { dateTime, relative, shortDateTime } from "../format.ts";
import { now } from "../resource.ts";

/** A time in the chosen zone. */
export function Time({ at, short }: { readonly at: string | null; readonly short?: boolean }): JSX.Element {
	if (at === null) return <span class="quiet">–</span>;
	return (
		<time class="nowrap" dateTime={at} title={at}>
			{short === true ? shortDateTime(at) : dateTime(at)}
		</time>
	);
}

/** `5 min ago`, with the time itself when it is pointed at. */
export function Ago({ at, never = "never" }: { readonly at: string | null; readonly never?: string }): JSX.Element {
	if (at === null) return <span class="quiet">{never}</span>;
	return (
		<time class="nowrap" dateTime={at} title={dateTime(at)}>
			{relative(at, now.value)}
		</time>
	);
}
