import { HeadraceError, qualified, type RetypeRequest } from "../../core/index.ts";
import type { Engine } from "../../engine/index.ts";
import { alterTable } from "./alter.ts";
import { enter } from "./locks.ts";
import { describeTable, findColumn, type Place } from "./schema.ts";
import { Session } from "./session.ts";
import { newRows } from "./statements.ts";

/** See `DestinationSql.retype`: the column is written anew in the transaction. A default of the old type goes. */
export async function retype(engine: Engine, place: Place, request: RetypeRequest): Promise<void> {
	const turn = await enter(place.sql);
	try {
		await using session = await Session.open(engine, request.signal);
		await session.transaction(async () => {
			const table = await describeTable(session, place);
			const retypes = request.columns.map(({ name, destinationType: type, value }) => {
				const found = findColumn(table?.columns ?? [], name);
				if (found === undefined)
					throw new HeadraceError("E_UNKNOWN_COLUMN", `${qualified(request.table)} has no column ${name}`);
				return { name: found.name, type, value };
			});
			await alterTable(session, place, { ddl: [], retypes, renamed: new Map() }, turn.alone);
			await request.verify?.(newRows(session, place.sql));
		});
	} finally {
		turn.leave();
	}
}
