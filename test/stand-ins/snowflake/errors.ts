/** What the server answers instead of a result. Codes and texts as users quote them of Snowflake. */
export class Refused extends Error {
	readonly code: string;
	readonly sqlState: string;

	constructor(code: string, sqlState: string, message: string) {
		super(message);
		this.name = "Refused";
		this.code = code;
		this.sqlState = sqlState;
	}
}

export function notThere(kind: string, name: string): Refused {
	return new Refused("002003", "02000", `SQL compilation error:\n${kind} '${name}' does not exist or not authorized.`);
}

export function alreadyThere(name: string): Refused {
	return new Refused("002002", "42710", `SQL compilation error:\nObject '${name}' already exists.`);
}

export function noPrivilege(kind: string, name: string): Refused {
	return new Refused(
		"003001",
		"42501",
		`SQL access control error:\nInsufficient privileges to operate on ${kind} '${name}'`,
	);
}

/** What the stand-in does not know it refuses: it never guesses what Snowflake would do. */
export function notModelled(what: string): Refused {
	return new Refused("000002", "0A000", `Unsupported feature '${what}' (by the stand-in).`);
}
