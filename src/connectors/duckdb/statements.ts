import type { NewRows } from "../../core/index.ts";
import { textRows } from "../../engine/index.ts";
import type { Session } from "./session.ts";

/** New rows for who verifies them, in the transaction of the session. */
export function newRows(session: Session, relation: string): NewRows {
	return { relation, query: (sql) => textRows(session, sql) };
}
