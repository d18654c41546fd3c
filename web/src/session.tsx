import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Session } from "../../src/server/api.ts";
import { get, post, signedOut } from "./client.ts";
import { listen } from "./live.ts";
import { ErrorNotice } from "./parts/notice.tsx";
import { refresh } from "./resource.ts";

export const session = signal<Session | null>(null);
export const startError = signal<unknown>(null);

/** Takes the token of the link that `headrace serve` printed, and takes it out of the address at once. */
export async function start(): Promise<void> {
	const token = new URLSearchParams(location.hash.slice(1)).get("token");
	if (token !== null) history.replaceState(null, "", location.pathname + location.search);
	try {
		if (token !== null) await signIn(token);
		else begin(await get<Session>("/api/session"));
	} catch (error) {
		if (!signedOut.value || token !== null) startError.value = error;
		if (token !== null) await get<Session>("/api/session").then(begin, () => {});
	}
}

function begin(answer: Session): void {
	session.value = answer;
	signedOut.value = false;
	startError.value = null;
	listen();
	void refresh();
}

async function signIn(token: string): Promise<void> {
	begin(await post<Session>("/api/login", { token }));
}

export async function signOut(): Promise<void> {
	await post("/api/logout");
	session.value = null;
	signedOut.value = true;
}

/** Whether the person may run, cancel and pause; the server decides again. */
export function mayOperate(): boolean {
	return session.value !== null && session.value.role !== "viewer";
}

export function mayAdminister(): boolean {
	return session.value?.role === "admin";
}

export function SignIn(): JSX.Element {
	const [token, setToken] = useState("");
	const [error, setError] = useState<unknown>(startError.value);
	const submit = async (event: Event) => {
		event.preventDefault();
		try {
			await signIn(token.trim());
		} catch (failure) {
			setError(failure);
		}
	};
	return (
		<main class="sign-in">
			<h1>Sign in to Headrace</h1>
			<p>
				Open the link that <code>headrace serve</code> printed when it started, or paste its token or an API token here.
			</p>
			{error === null ? null : <ErrorNotice error={error} />}
			<form class="toolbar" onSubmit={submit}>
				<label class="field">
					<span>Token</span>
					<input
						class="input mono"
						type="password"
						autocomplete="current-password"
						required
						value={token}
						onInput={(event) => setToken(event.currentTarget.value)}
					/>
				</label>
				<button type="submit" class="button main">
					Sign in
				</button>
			</form>
			<p class="quiet small">
				<code>headrace serve token add me --role operator</code> makes a token on the machine that the server runs on.
			</p>
		</main>
	);
}
