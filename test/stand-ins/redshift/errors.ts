/** An error that the stand-in answers with, as Redshift would. */
export class RedshiftError extends Error {
	readonly state: string;
	readonly detail: string | undefined;

	constructor(state: string, message: string, detail?: string) {
		super(message);
		this.name = "RedshiftError";
		this.state = state;
		this.detail = detail;
	}
}

/** `page` is the page of the Database Developer Guide that says so. */
export function unsupported(what: string, page: string): RedshiftError {
	return new RedshiftError(
		"0A000",
		`${what} is not supported (https://docs.aws.amazon.com/redshift/latest/dg/${page})`,
	);
}
