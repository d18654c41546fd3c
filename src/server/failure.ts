import { relative } from "node:path";
import { EXIT, HeadraceError, toHeadraceErrors } from "../core/index.ts";
import type { Failure, Problem } from "./api.ts";

/** An answer that is an error, with its HTTP status. */
export class RequestFailure extends Error {
	readonly status: number;
	readonly error: HeadraceError;
	readonly headers: Readonly<Record<string, string>>;

	constructor(status: number, error: HeadraceError, headers: Readonly<Record<string, string>> = {}) {
		super(error.message);
		this.status = status;
		this.error = error;
		this.headers = headers;
	}
}

export function notFound(what: string): RequestFailure {
	return new RequestFailure(404, new HeadraceError("E_NOT_FOUND", `there is no ${what}`));
}

export function badRequest(message: string, hint?: string): RequestFailure {
	return new RequestFailure(400, new HeadraceError("E_REQUEST", message, hint === undefined ? {} : { hint }));
}

/** What was thrown as an answer; errors that nobody expected tell nothing about the inside. */
export function failureOf(
	thrown: unknown,
	directory: string,
): { readonly status: number; readonly body: Failure; readonly headers: Readonly<Record<string, string>> } {
	if (thrown instanceof RequestFailure)
		return {
			status: thrown.status,
			body: { errors: [problemOf(thrown.error, directory)] },
			headers: thrown.headers,
		};
	const errors = toHeadraceErrors(thrown);
	const [first] = errors;
	if (first === undefined || first.code === "E_INTERNAL") {
		const unknown = new HeadraceError("E_INTERNAL", "the server met an error that it does not know", {
			hint: "See the server's own log.",
		});
		return { status: 500, body: { errors: [problemOf(unknown, directory)] }, headers: {} };
	}
	return { status: statusOf(first), body: { errors: errors.map((each) => problemOf(each, directory)) }, headers: {} };
}

function statusOf({ code, exit }: HeadraceError): number {
	if (code === "E_FILE_NOT_FOUND" || code === "E_NOT_FOUND") return 404;
	if (code === "E_TIMEOUT") return 504;
	if (exit === EXIT.busy) return 409;
	if (exit === EXIT.usage) return 400;
	if (exit === EXIT.connection) return 502;
	return 500;
}

/** An error as it is sent: its file within the project's folder. */
export function problemOf({ code, message, hint, place }: HeadraceError, directory: string): Problem {
	return {
		code,
		message,
		hint,
		file: place.file === undefined ? null : fileWithin(directory, place.file),
		line: place.line ?? null,
		column: place.column ?? null,
	};
}

export function fileWithin(directory: string, file: string): string {
	const path = relative(directory, file);
	return path.startsWith("..") ? file : path;
}
