import type { MysqlConnection } from "./connection.ts";
import { stopped } from "./readers.ts";

/**
 * Statements of hooks, in one transaction on a connection of their own; a statement that commits by itself (DDL) is
 * committed, as MySQL has it. `kill` ends the statement of a thread.
 */
export async function execute(
	open: () => Promise<MysqlConnection>,
	kill: (threadId: number) => Promise<void>,
	statements: readonly string[],
	signal?: AbortSignal,
): Promise<void> {
	const connection = await open();
	const stop = (): void => {
		void kill(connection.threadId)
			.catch(() => {})
			.finally(() => connection.destroy());
	};
	signal?.addEventListener("abort", stop, { once: true });
	try {
		// While it logged in, nobody listened.
		if (signal?.aborted) throw stopped(signal);
		await connection.rows("START TRANSACTION");
		for (const statement of statements) await connection.rows(statement);
		if (signal?.aborted) throw stopped(signal);
		await connection.rows("COMMIT");
	} catch (error) {
		throw signal?.aborted ? stopped(signal) : error;
	} finally {
		signal?.removeEventListener("abort", stop);
		// Whatever is not committed ends with it.
		await connection.close();
	}
}
