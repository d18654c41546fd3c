import type { Connection } from "../config/index.ts";

/** An address without its secrets, and the variables that must now hold them. */
export interface ReferencedAddress {
	readonly text: string;
	readonly variables: readonly string[];
}

/** Beginnings of the variables' names, one for each end: `SHOP` for a connection called shop. */
export function referencesFor(from: Connection, to: Connection): { readonly from: string; readonly to: string } {
	const name = (connection: Connection): string => {
		const upper = connection.name
			.toUpperCase()
			.replace(/[^A-Z0-9]+/g, "_")
			.replace(/^_+|_+$/g, "");
		return /^[A-Z]/.test(upper) ? upper : `DB_${upper}`;
	};
	const names = { from: name(from), to: name(to) };
	return names.from === names.to ? { from: `${names.from}_FROM`, to: `${names.to}_TO` } : names;
}

const SECRET_OPTIONS = /([?&](password|private_key|access_key_id|secret_access_key)=)((?!\$\{)[^&#]+)/g;

/** Replaces the password and secret options of an address by `${env:…}`; references that are there already stay. */
export function withReferences(address: string, name: string): ReferencedAddress {
	const variables: string[] = [];
	const reference = (what: string): string => {
		const variable = `${name}_${what.toUpperCase()}`;
		variables.push(variable);
		return `\${env:${variable}}`;
	};
	const text = address
		.replace(
			/^([a-z][a-z0-9+.-]*:\/\/[^\s:/?#@]*:)((?!\$\{).+)(?=@)/i,
			(_all, before: string) => before + reference("password"),
		)
		.replace(SECRET_OPTIONS, (_all, before: string, key: string) => before + reference(key));
	return { text, variables };
}
