import { acquireTurn } from "../../core/index.ts";

// DuckDB has one writing process a file: the loads of this process are all there are.

/** Loads at a table, from their turn until their transaction is over. */
const present = new Map<string, number>();

/** A turn at a table. */
export interface Turn {
	/** No other load was at the table when the turn began. */
	readonly alone: boolean;
	/** Lets the next one in; this one is still at the table. */
	readonly pass: () => void;
	readonly leave: () => void;
}

/** As `acquireTurn`, for what stays at a table after it let the next one in. */
export async function enter(name: string): Promise<Turn> {
	const pass = await acquireTurn(name);
	const others = present.get(name) ?? 0;
	present.set(name, others + 1);
	let isHere = true;
	return {
		alone: others === 0,
		pass,
		leave: () => {
			pass();
			if (!isHere) return;
			isHere = false;
			const left = present.get(name)! - 1;
			if (left === 0) present.delete(name);
			else present.set(name, left);
		},
	};
}
