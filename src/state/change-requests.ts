import type { DurableDatabase } from "./database.ts";

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
	readonly #database: DurableDatabase;

	constructor(database: DurableDatabase) {
		this.#database = database;
	}

	/** Names the request, for its answer. */
	ask(pipeline: string, request: string): number {
		return this.#database.transaction((database) => {
			database
				.prepare("DELETE FROM change_requests WHERE asked_at < ?")
				.run(new Date(Date.now() - KEPT_MS).toISOString());
			const { lastInsertRowid } = database
				.prepare("INSERT INTO change_requests (pipeline, asked_at, request, is_taken) VALUES (?, ?, ?, 0)")
				.run(pipeline, new Date().toISOString(), request);
			return Number(lastInsertRowid);
		});
	}

	/** Whether something is asked of whoever follows the log of a pipeline. */
	isAsked(pipeline: string): boolean {
		return this.#database.use(
			(database) =>
				database.prepare("SELECT 1 FROM change_requests WHERE pipeline = ? AND is_taken = 0 LIMIT 1").get(pipeline) !==
				undefined,
		);
	}

	/** Takes what is asked, in its order: it can't be withdrawn any more. */
	take(pipeline: string): ChangeRequestRow[] {
		return this.#database.transaction((database) => {
			const rows = database
				.prepare(
					"SELECT request_id, request FROM change_requests WHERE pipeline = ? AND is_taken = 0 ORDER BY request_id",
				)
				.all(pipeline);
			database.prepare("UPDATE change_requests SET is_taken = 1 WHERE pipeline = ?").run(pipeline);
			return rows.map((row) => ({ id: Number(row["request_id"]), request: String(row["request"]) }));
		});
	}

	answer(id: number, answer: string): void {
		this.#database.transaction((database) => {
			database.prepare("UPDATE change_requests SET answer = ? WHERE request_id = ?").run(answer, id);
		});
	}

	/** Null while there is none. */
	answerOf(id: number): string | null {
		return this.#database.use((database) => {
			const row = database.prepare("SELECT answer FROM change_requests WHERE request_id = ?").get(id);
			return row === undefined || row["answer"] === null ? null : String(row["answer"]);
		});
	}

	/** False when it was taken: then its answer is to be waited for. */
	withdraw(id: number): boolean {
		return this.#database.transaction((database) => {
			const { changes } = database.prepare("DELETE FROM change_requests WHERE request_id = ? AND is_taken = 0").run(id);
			return changes === 1;
		});
	}
}
