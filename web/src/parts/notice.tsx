import type { ComponentChildren, JSX } from "preact";
import { ApiError } from "../client.ts";

/** An error with its code and what to do about it. */
export function Problem(props: {
	readonly code: string;
	readonly message: string;
	readonly hint?: string;
	readonly children?: ComponentChildren;
}): JSX.Element {
	return (
		<div class="notice bad">
			<p>
				<span class="code">{props.code}</span> {props.message}
			</p>
			{props.hint === undefined || props.hint === "" ? null : (
				<p>
					<strong>What to do:</strong> {props.hint}
				</p>
			)}
			{props.children}
		</div>
	);
}

/** Why the page could not get or do something. */
export function ErrorNotice({ error }: { readonly error: unknown }): JSX.Element {
	if (error instanceof ApiError)
		return (
			<div role="alert">
				<Problem code={error.code} message={error.message} hint={error.hint} />
			</div>
		);
	return (
		<div role="alert">
			<Problem
				code="E_PAGE"
				message={error instanceof Error ? error.message : String(error)}
				hint="Load the page again."
			/>
		</div>
	);
}

/** A place where something could be: says what is missing and how to get it. */
export function Empty({
	title,
	children,
}: {
	readonly title: string;
	readonly children: ComponentChildren;
}): JSX.Element {
	return (
		<div class="empty">
			<h2>{title}</h2>
			{children}
		</div>
	);
}
