import { connect, type PostgresOptions } from "./connect.ts";
import type { ControlConnection } from "./control.ts";
import { stopped } from "./stopped.ts";

/**
 * Statements of hooks, in one transaction on a connection of their own: the only one that may write. Names without a
 * schema mean what they mean to the user.
 */
export async function execute(
	options: PostgresOptions,
	control: ControlConnection,
	statements: readonly string[],
	signal?: AbortSignal,
): Promise<void> {
	const { session } = await connect(options, "headrace hook");
	const [[processId = null] = []] = await session.rows("SELECT pg_catalog.pg_backend_pid()");
	const stop = (): void => {
		const cancelled = control.run((other) => other.rows("SELECT pg_catalog.pg_cancel_backend($1)", [processId]));
		void cancelled.catch(() => {}).finally(() => session.destroy());
	};
	signal?.addEventListener("abort", stop, { once: true });
	try {
		// While it logged in, nobody listened.
		if (signal?.aborted) throw stopped(signal);
		await session.script(["RESET search_path", "BEGIN READ WRITE"]);
		for (const statement of statements) await session.script([statement]);
		if (signal?.aborted) throw stopped(signal);
		await session.rows("COMMIT");
	} catch (error) {
		throw signal?.aborted ? stopped(signal) : error;
	} finally {
		signal?.removeEventListener("abort", stop);
		// Whatever is not committed ends with it.
		await session.end();
	}
}
