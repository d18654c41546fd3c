import { signal } from "@preact/signals";

/** What the server says when it refuses or fails: never with secrets or row values in it. */
export class ApiError extends Error {
	readonly status: number;
	readonly code: string;
	readonly hint: string;

	constructor(status: number, code: string, message: string, hint: string) {
		super(message);
		this.status = status;
		this.code = code;
		this.hint = hint;
	}
}

/** The session is missing or has ended: the page asks for a token. */
export const signedOut = signal(false);
/** The server can't be reached: what is shown may be old. */
export const unreachable = signal(false);

export function get<Answer>(path: string, signal?: AbortSignal): Promise<Answer> {
	return call<Answer>("GET", path, undefined, signal);
}

export function post<Answer>(path: string, body: object = {}): Promise<Answer> {
	return call<Answer>("POST", path, body);
}

export function remove<Answer>(path: string): Promise<Answer> {
	return call<Answer>("DELETE", path);
}

/** @throws ApiError with the server's code, message and hint; `E_UNREACHABLE` when there was no answer */
async function call<Answer>(method: string, path: string, body?: object, abort?: AbortSignal): Promise<Answer> {
	let response: Response;
	try {
		response = await fetch(path, {
			method,
			headers: body === undefined ? {} : { "content-type": "application/json" },
			...(body === undefined ? {} : { body: JSON.stringify(body) }),
			...(abort === undefined ? {} : { signal: abort }),
		});
	} catch (cause) {
		if (abort?.aborted) throw cause;
		unreachable.value = true;
		throw new ApiError(0, "E_UNREACHABLE", "The server does not answer.", "Is `headrace serve` still running?");
	}
	unreachable.value = false;
	if (response.ok) {
		signedOut.value = false;
		return response.status === 204 ? (undefined as Answer) : ((await response.json()) as Answer);
	}
	if (response.status === 401) signedOut.value = true;
	throw await refusalOf(response);
}

async function refusalOf(response: Response): Promise<ApiError> {
	const { status } = response;
	try {
		const { errors } = (await response.json()) as {
			errors: readonly { code: string; message: string; hint?: string }[];
		};
		const { code, message, hint = "" } = errors[0]!;
		return new ApiError(status, code, message, hint);
	} catch {
		return new ApiError(status, `HTTP ${status}`, `The server answered ${status} ${response.statusText}.`, "");
	}
}
