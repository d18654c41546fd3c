import type { JSX } from "preact";
import type { Resource } from "../resource.ts";
import { ErrorNotice } from "./notice.tsx";

/** Draws an answer; before it comes says so, and keeps the last one, with the error above, when a later one fails. */
export function Loaded<Data>(props: {
	readonly of: Resource<Data>;
	readonly children: (data: Data) => JSX.Element | null;
}): JSX.Element {
	const { data, error } = props.of;
	return (
		<>
			{error === null ? null : <ErrorNotice error={error} />}
			{data !== null ? props.children(data) : error === null ? <p class="quiet">Loading…</p> : null}
		</>
	);
}
