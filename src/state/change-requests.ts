import type { StateDatabase } from "./database.ts";
import { all, first, numberOf, run, textOf, textOrNull } from "./work.ts";

/** Answers that nobody came back for go with the next request. */
const KEPT_MS = 86_400_000;

export interface ChangeRequestRow {
	readonly id: number;
	/** JSON. */
	readonly request: string;
}

/**
 * What people ask of a process that follows a change log. While it is at work it alone moves the position, so that
 * nobody has to take it away from it, and no other process need open the destination.
 */
export class ChangeRequests {
	readonly #database: StateDatabase;

	constructor(database: StateDatabase) {
		this.#database = database;
	}

	/** Names the request, for its answer. */
	ask(pipeline: string, request: string): Promise<number> {
		const nowMs = this.#database.nowMs();
		return this.#database.transaction(function* () {
			yield* run("DELETE FROM change_requests WHERE asked_at < $1", new Date(nowMs - KEPT_MS).toISOString());
			const row = yield* first(
				`INSERT INTO change_requests (pipeline, asked_at, request, is_taken) VALUES ($1, $2, $3, 0)
				RETURNING request_id`,
				pipeline,
				new Date(nowMs).toISOString(),
				request,
			);
			return numberOf(row!, "request_id");
		});
	}

	/** Whether something is asked of whoever follows the log of a pipeline. */
	isAsked(pipeline: string): Promise<boolean> {
		return this.#database.use(function* () {
			const asked = "SELECT 1 AS asked FROM change_requests WHERE pipeline = $1 AND is_taken = 0 LIMIT 1";
			return (yield* first(asked, pipeline)) !== null;
		});
	}

	/** Takes what is asked, in its order: it can't be withdrawn any more. */
	take(pipeline: string): Promise<ChangeRequestRow[]> {
		return this.#database.transaction(function* () {
			const rows = yield* all(
				"SELECT request_id, request FROM change_requests WHERE pipeline = $1 AND is_taken = 0 ORDER BY request_id",
				pipeline,
			);
			if (rows.length > 0) yield* run("UPDATE change_requests SET is_taken = 1 WHERE pipeline = $1", pipeline);
			return rows.map((row) => ({ id: numberOf(row, "request_id"), request: textOf(row, "request") }));
		});
	}

	async answer(id: number, answer: string): Promise<void> {
		await this.#database.transaction(() =>
			run("UPDATE change_requests SET answer = $1 WHERE request_id = $2", answer, id),
		);
	}

	/** Null while there is none. */
	answerOf(id: number): Promise<string | null> {
		return this.#database.use(function* () {
			const row = yield* first("SELECT answer FROM change_requests WHERE request_id = $1", id);
			return row === null ? null : textOrNull(row, "answer");
		});
	}

	/** False when it was taken: then its answer is to be waited for. */
	async withdraw(id: number): Promise<boolean> {
		const withdrawn = await this.#database.transaction(() =>
			run("DELETE FROM change_requests WHERE request_id = $1 AND is_taken = 0", id),
		);
		return withdrawn === 1;
	}
}
