import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { crashPoint, HeadraceError, qualified } from "../../core/index.ts";
import { quoteEscaped } from "../../sql/index.ts";
import { forgetSwap, type PendingSwap, pendingSwaps } from "./control.ts";
import { isNotThere } from "./errors.ts";
import { Place } from "./names.ts";
import { type Session, transactionName } from "./session.ts";
import { tablesStarting } from "./table.ts";

const ATTEMPTS_MAX = 20;
const ATTEMPT_DELAY_MS = 500;

type Load = Pick<PendingSwap, "pipeline" | "stream" | "loadId">;

/** How the names of a stream's builds begin. */
function buildPrefix({ pipeline, stream }: Pick<Load, "pipeline" | "stream">): string {
	return `_HEADRACE_NEW_${transactionName(pipeline, stream).slice(-12)}_`;
}

/** Where the rows of a load are built: a name that nobody else takes. */
export function buildPlace(place: Place, load: Load): Place {
	return place.beside(`${buildPrefix(load)}${load.loadId.toUpperCase()}`);
}

/**
 * Drops what dead loads of a stream have left beside its table. Only one run at a time may load a stream, and what a
 * committed load built is still to be swapped in.
 */
export async function removeLeftovers(session: Session, place: Place, load: Load): Promise<void> {
	const left = await tablesStarting(session, place.schema, buildPrefix(load));
	if (left.length === 0) return;
	const pending = (await pendingSwaps(session, { pipeline: load.pipeline })).map((swap) => buildMark(swap.loadId));
	for (const { name, comment } of left)
		if (!pending.includes(comment)) await session.run(`DROP TABLE IF EXISTS ${place.beside(name).sql}`);
}

/** What a build's comment says: a table that has it holds the new rows, and one that has another the old ones. */
export function buildMark(loadId: string): string {
	return `headrace:load=${loadId}`;
}

/**
 * Puts what a committed load built in the place of its table. SWAP WITH is one atomic statement that can't be part of a
 * transaction, so the position is committed before it, together with a row of `_headrace.swaps` that says what is left
 * to do; whoever finds the row finishes it. Two that do so at once must not swap twice, which would bring the old rows
 * back: each first renames the build to a name of its own, and only one can. Its comment then says which rows it holds.
 * https://docs.snowflake.com/en/sql-reference/sql/alter-table (SWAP WITH)
 */
export async function finishSwap(session: Session, swap: PendingSwap): Promise<void> {
	const place = new Place({ schema: swap.schema, name: swap.name });
	const build = buildPlace(place, swap);
	for (let attempt = 1; ; attempt++) {
		if ((await pendingSwaps(session, { loadId: swap.loadId })).length === 0) return;
		const [found] = await tablesStarting(session, swap.schema, build.name);
		if (found === undefined) break;
		const mine = place.beside(`${build.name}_${randomBytes(4).toString("hex").toUpperCase()}`);
		if (await claim(session, place.beside(found.name), mine)) {
			crashPoint("c15");
			if (found.comment === buildMark(swap.loadId)) await exchange(session, place, mine);
			break;
		}
		if (attempt === ATTEMPTS_MAX)
			throw new HeadraceError("E_CONFLICT", `another run is putting the new rows of ${qualified(place)} in place`);
		await sleep(ATTEMPT_DELAY_MS);
	}
	await tidy(session, place, build, swap.loadId);
	await forgetSwap(session, swap);
}

async function claim(session: Session, from: Place, to: Place): Promise<boolean> {
	try {
		await session.run(`ALTER TABLE ${from.sql} RENAME TO ${to.sql}`);
		return true;
	} catch (error) {
		if (isNotThere(error)) return false;
		throw error;
	}
}

/** The built table instead of the old one, or under its name when there is none. */
async function exchange(session: Session, place: Place, mine: Place): Promise<void> {
	const there = await tablesStarting(session, place.schema, place.name, true);
	if (there.length === 0) await session.run(`ALTER TABLE ${mine.sql} RENAME TO ${place.sql}`, [], { table: place });
	else await session.run(`ALTER TABLE ${place.sql} SWAP WITH ${mine.sql}`, [], { table: place });
	crashPoint("c15");
}

/** The old table's comment goes to the new one, and the old table goes. It can be brought back by UNDROP for a day. */
async function tidy(session: Session, place: Place, build: Place, loadId: string): Promise<void> {
	const left = await tablesStarting(session, place.schema, build.name);
	const old = left.find(({ comment }) => comment !== buildMark(loadId));
	const [table] = await tablesStarting(session, place.schema, place.name, true);
	if (table?.comment === buildMark(loadId))
		await session.run(`COMMENT ON TABLE ${place.sql} IS ${quoteEscaped(old?.comment ?? "")}`);
	for (const { name } of left) await session.run(`DROP TABLE IF EXISTS ${place.beside(name).sql}`);
}
