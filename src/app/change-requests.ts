import { ERRORS, type ErrorCode, HeadraceError, toHeadraceErrors } from "../core/index.ts";
import type { ChangeRequests } from "../state/index.ts";
import type { PositionChanged, PositionRequest } from "./api.ts";
import { changePosition } from "./position-changes.ts";
import type { Session } from "./session.ts";

/** How often a process that follows a log looks for requests, and who made one for its answer. */
const LOOK_MS = 500;
/** How long a request may lie before whoever holds the pipeline takes it. */
const TAKE_MS = 60_000;

/** What is asked of whoever follows a log: to change its position, or to end. */
export type AskedRequest = PositionRequest | { readonly kind: "end" };

type Answer =
	| { readonly ok: true; readonly changed: PositionChanged | null }
	| { readonly ok: false; readonly code: string; readonly message: string; readonly hint: string };

/** Watches, while a log is followed, for what is asked of whoever does so. */
export class RequestWatch implements Disposable {
	readonly #requests: ChangeRequests;
	readonly #pipeline: string;
	readonly #timer: NodeJS.Timeout;
	#asked = new AbortController();

	constructor(requests: ChangeRequests, pipeline: string) {
		this.#requests = requests;
		this.#pipeline = pipeline;
		// A store that does not answer now is asked again in time.
		this.#timer = setInterval(() => void this.#look().catch(() => {}), LOOK_MS);
		this.#timer.unref();
	}

	/** Aborted once something is asked: what follows the log comes to a stop, so that it can be done. */
	get signal(): AbortSignal {
		return this.#asked.signal;
	}

	/** Does what is asked, and tells of it. Gives whether it is to end. */
	async serve(session: Session, tell: (message: string) => void): Promise<boolean> {
		let ends = false;
		for (const { id, request } of await this.#requests.take(this.#pipeline)) {
			const asked = JSON.parse(request) as AskedRequest;
			if (asked.kind === "end") ends = true;
			const answer = asked.kind === "end" ? { ok: true as const, changed: null } : await answerOf(session, asked);
			await this.#requests.answer(id, JSON.stringify(answer));
			tell(`asked by hand: ${asked.kind}${toldOf(answer)}`);
		}
		this.#asked = new AbortController();
		return ends;
	}

	async #look(): Promise<void> {
		const asked = this.#asked;
		if (await this.#requests.isAsked(this.#pipeline)) asked.abort();
	}

	[Symbol.dispose](): void {
		clearInterval(this.#timer);
	}
}

function toldOf(answer: Answer): string {
	if (!answer.ok) return ` failed with ${answer.code}: ${answer.message}`;
	if (answer.changed === null) return "";
	const { changed, tables, position } = answer.changed;
	const about = tables.length === 0 ? "" : ` ${tables.join(", ")}`;
	return `${about}, ${changed ? `reading goes on from ${position}` : "which it was already"}`;
}

async function answerOf(session: Session, request: PositionRequest): Promise<Answer> {
	try {
		return { ok: true, changed: await changePosition(session, request) };
	} catch (thrown) {
		const [error] = toHeadraceErrors(thrown);
		if (error === undefined || error.code === "E_FENCED") throw thrown;
		const { code, message, hint } = error;
		return { ok: false, code, message, hint };
	}
}

/**
 * Asks whoever follows the log of a pipeline. Null when nobody took it: `isHeld` tells whether there is somebody still.
 * @throws what the other found wrong with it; E_BUSY when it does not come to it
 */
export async function askFollower(
	requests: ChangeRequests,
	pipeline: string,
	request: AskedRequest,
	{ isHeld, signal }: { readonly isHeld: () => Promise<boolean>; readonly signal?: AbortSignal | undefined },
): Promise<{ readonly changed: PositionChanged | null } | null> {
	const id = await requests.ask(pipeline, JSON.stringify(request));
	const until = Date.now() + TAKE_MS;
	for (;;) {
		const text = await requests.answerOf(id);
		if (text !== null) {
			const answer = JSON.parse(text) as Answer;
			if (answer.ok) return { changed: answer.changed };
			const code = Object.hasOwn(ERRORS, answer.code) ? (answer.code as ErrorCode) : "E_INTERNAL";
			throw new HeadraceError(code, answer.message, { pipeline, hint: answer.hint });
		}
		const isLate = Date.now() > until || signal?.aborted === true;
		if ((isLate || !(await isHeld())) && (await requests.answerOf(id)) === null) {
			const isWithdrawn = await requests.withdraw(id);
			if (!isLate && isWithdrawn) return null;
			throw new HeadraceError(
				signal?.aborted === true ? "E_STOPPED" : "E_BUSY",
				isWithdrawn
					? `whoever holds the pipeline ${pipeline} did not come to it; nothing was changed`
					: `whoever held the pipeline ${pipeline} took it up and did not say how it ended`,
				{ pipeline, hint: "See `headrace status`." },
			);
		}
		await new Promise((resolve) => setTimeout(resolve, LOOK_MS / 2));
	}
}
