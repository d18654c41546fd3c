import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Role, TokenItem, TokenList, TokenMade } from "../../../src/server/api.ts";
import { post, remove } from "../client.ts";
import { ask, Dialog } from "../parts/dialog.tsx";
import { Loaded } from "../parts/load.tsx";
import { Empty, ErrorNotice } from "../parts/notice.tsx";
import { Ago, Time } from "../parts/time.tsx";
import { refresh, useResource } from "../resource.ts";
import { mayAdminister } from "../session.tsx";
import { useTitle } from "../shell.tsx";

const ROLES: readonly (readonly [Role, string])[] = [
	["viewer", "sees everything, changes nothing"],
	["operator", "also runs, cancels, pauses and tests"],
	["admin", "also gives and takes tokens"],
];

/** Tokens of people and programs. */
export function AccessPage(): JSX.Element {
	useTitle("Access");
	const tokens = useResource<TokenList>(mayAdminister() ? "/api/tokens" : null);
	const [made, setMade] = useState<TokenMade | null>(null);
	if (!mayAdminister())
		return (
			<Empty title="Only an admin sees the tokens">
				<p>Ask whoever runs this server.</p>
			</Empty>
		);
	return (
		<>
			<div class="page-head">
				<h1>Access</h1>
			</div>
			<NewToken onMade={setMade} />
			<Loaded of={tokens}>
				{(list) =>
					list.tokens.length === 0 ? (
						<Empty title="No tokens yet">
							<p>You are here by the link that the server printed. People and programs get tokens of their own.</p>
						</Empty>
					) : (
						<Tokens tokens={list.tokens} />
					)
				}
			</Loaded>
			{made === null ? null : (
				<Dialog title={`Token of ${made.item.name}`} onClose={() => setMade(null)}>
					<p>Copy it now: only its hash is kept, and it can't be shown again.</p>
					<pre class="remedy">{made.token}</pre>
				</Dialog>
			)}
		</>
	);
}

function NewToken({ onMade }: { readonly onMade: (made: TokenMade) => void }): JSX.Element {
	const [name, setName] = useState("");
	const [role, setRole] = useState<Role>("viewer");
	const [error, setError] = useState<unknown>(null);
	const submit = async (event: Event) => {
		event.preventDefault();
		setError(null);
		try {
			onMade(await post<TokenMade>("/api/tokens", { name, role }));
			setName("");
			void refresh();
		} catch (failure) {
			setError(failure);
		}
	};
	return (
		<>
			<form class="toolbar" onSubmit={submit}>
				<label class="check">
					Name
					<input
						class="input"
						required
						maxLength={60}
						pattern="[\w.@\-]+"
						title="Letters, digits, _ . @ -"
						value={name}
						onInput={(event) => setName(event.currentTarget.value)}
					/>
				</label>
				<label class="check">
					Role
					<select class="input" value={role} onChange={(event) => setRole(event.currentTarget.value as Role)}>
						{ROLES.map(([each, words]) => (
							<option key={each} value={each}>
								{each}: {words}
							</option>
						))}
					</select>
				</label>
				<button type="submit" class="button main">
					Make a token
				</button>
			</form>
			{error === null ? null : <ErrorNotice error={error} />}
		</>
	);
}

function Tokens({ tokens }: { readonly tokens: readonly TokenItem[] }): JSX.Element {
	return (
		<div class="scroll">
			<table>
				<thead>
					<tr>
						<th scope="col">Name</th>
						<th scope="col">Role</th>
						<th scope="col">Made</th>
						<th scope="col">Last used</th>
						<th scope="col">Ends</th>
						<td />
					</tr>
				</thead>
				<tbody>
					{tokens.map((token) => (
						<tr key={token.token_id}>
							<th scope="row">{token.name}</th>
							<td>{token.role}</td>
							<td>
								<Time at={token.created_at} /> <span class="quiet small">by {token.created_by}</span>
							</td>
							<td>
								<Ago at={token.last_used_at} />
							</td>
							<td>
								{token.revoked_at !== null ? (
									<>
										revoked <Ago at={token.revoked_at} />
									</>
								) : token.expires_at === null ? (
									"not by itself"
								) : (
									<Ago at={token.expires_at} />
								)}
							</td>
							<td class="number">
								{token.revoked_at !== null ? null : (
									<button type="button" class="button slim" onClick={() => askRevoke(token)}>
										Revoke<span class="visually-hidden"> {token.name}</span>
									</button>
								)}
							</td>
						</tr>
					))}
				</tbody>
			</table>
		</div>
	);
}

function askRevoke(token: TokenItem): void {
	ask({
		title: `Revoke the token of ${token.name}`,
		confirm: "Revoke it",
		preview: <p>Whoever uses it is refused from now on. Runs that it began go on.</p>,
		act: async () => {
			await remove<TokenItem>(`/api/tokens/${encodeURIComponent(token.token_id)}`);
			void refresh();
			return `The token of ${token.name} is revoked.`;
		},
	});
}
