import { HeadraceError } from "../../core/index.ts";

/** A place in the changes of an archive: after a transaction of a record, or before all of it. */
export interface ArchivePlace {
	readonly journal: string;
	/** Number of the record. */
	readonly record: number;
	/** The last transaction that was read of it; 0: none. */
	readonly transaction: bigint;
	/** What the log that was archived calls the place. */
	readonly text: string;
}

export function encodePlace({ journal, record, transaction, text }: ArchivePlace): string {
	return `${journal}:${record}:${transaction}:${text}`;
}

/** @throws E_INVALID_VALUE */
export function decodePlace(position: string): ArchivePlace {
	const [, journal, record, transaction, text] = /^([0-9a-f]{24}):(\d{1,15}):(\d{1,19}):(.*)$/s.exec(position) ?? [];
	if (journal === undefined || text === undefined)
		throw new HeadraceError("E_INVALID_VALUE", `${JSON.stringify(position)} is no position of an archive of changes`, {
			hint: "Give the number of one of its records, such as 12, or a position that Headrace printed.",
		});
	return { journal, record: Number(record), transaction: BigInt(transaction!), text };
}

/** Less than, equal, more than 0. */
export function comparePlaces(a: ArchivePlace, b: ArchivePlace): number {
	if (a.record !== b.record) return a.record - b.record;
	return a.transaction === b.transaction ? 0 : a.transaction < b.transaction ? -1 : 1;
}
