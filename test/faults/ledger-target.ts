/** Where a ledger is copied to, beside a DuckDB file: a database, a lake in a folder, or a warehouse's stand-ins. */
import { BACKEND, openWarehouse } from "../connectors/redshift-support.ts";
import { startSnowflakeStandIn } from "../stand-ins/snowflake/index.ts";
import type { ServerName } from "../support/server.ts";
import { freshDatabase, sharedServer } from "../support/shared.ts";
import { missing } from "../support/start.ts";
import type { LedgerCopyOptions } from "./ledger-copy.ts";

export type LedgerTarget = ServerName | "duckdb" | "lake" | "redshift" | "snowflake";

/** Whether it can't be copied there. */
export function lacksTarget(into: LedgerTarget): boolean {
	if (into === "duckdb" || into === "lake" || into === "snowflake") return false;
	return missing(into === "redshift" ? BACKEND : into);
}

/** It is gone when it is disposed. */
export async function openTarget(into: LedgerTarget): Promise<AsyncDisposable & { readonly copy: LedgerCopyOptions }> {
	if (into === "duckdb") return { copy: {}, [Symbol.asyncDispose]: async () => {} };
	if (into === "lake") return { copy: { lake: true }, [Symbol.asyncDispose]: async () => {} };
	if (into === "redshift") {
		const redshift = await openWarehouse();
		return { copy: { redshift }, [Symbol.asyncDispose]: () => redshift[Symbol.asyncDispose]() };
	}
	if (into === "snowflake") {
		const snowflake = await startSnowflakeStandIn();
		return { copy: { snowflake }, [Symbol.asyncDispose]: () => snowflake[Symbol.asyncDispose]() };
	}
	const target = await freshDatabase(await sharedServer(into), "copy");
	return { copy: { target }, [Symbol.asyncDispose]: () => target[Symbol.asyncDispose]() };
}
