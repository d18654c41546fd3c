import { type ChangedSchema, type ChangeEvent, HeadraceError, qualified } from "../../../core/index.ts";
import { corrupt } from "./bytes.ts";
import type { FormatDescription, LogEvent } from "./event.ts";
import type { FollowedTable, LogPlace } from "./followed-table.ts";
import type { FollowedTables } from "./followed-tables.ts";
import { unknownColumns } from "./layout.ts";
import { readRows, type rowsForm } from "./rows-event.ts";
import { readTableId, readTableMap, type TableMap } from "./table-map.ts";

/** Batches that are being filled may hold so many bytes together, however many tables they are of. */
const OPEN_BATCH_BYTES_MAX = 64 << 20;
const FORMAT_UNKNOWN: FormatDescription = { checksums: false, postHeaders: Buffer.alloc(256, 8) };

export interface LogRowsOptions {
	readonly flavour: "mariadb" | "mysql";
	readonly tables: FollowedTables;
	readonly emit: (event: ChangeEvent) => void;
	readonly place: () => LogPlace;
	/** The table when its changes that lie here are wanted. */
	readonly wanted: (table: FollowedTable | undefined) => FollowedTable | undefined;
}

/** A table's description as it was seen last under its id. */
interface SeenMap {
	readonly body: Buffer;
	/** Null: its rows are not wanted. */
	readonly followed: FollowedTable | null;
	/** They were not, since they were known: those of later may be. */
	readonly known: FollowedTable | undefined;
	readonly columnCount: number;
}

/** The rows of a log's tables, by what the log says of each table before its rows. */
export class LogRows {
	readonly #options: LogRowsOptions;
	#format: FormatDescription = FORMAT_UNKNOWN;
	#maps = new Map<number, SeenMap>();
	#open = new Set<FollowedTable>();

	constructor(options: LogRowsOptions) {
		this.#options = options;
	}

	/** Whether a file's first event has been seen. */
	get knowsFormat(): boolean {
		return this.#format !== FORMAT_UNKNOWN;
	}

	/** Another file, or the same one anew: what was said of tables before holds no longer. */
	describe(format: FormatDescription): void {
		this.#format = format;
		this.forgetMaps();
	}

	forgetMaps(): void {
		this.#maps.clear();
	}

	/** Hands over the rows of before. */
	flush(): void {
		this.#options.tables.flush();
		this.#open.clear();
	}

	/**
	 * Takes what the log says of a table; gives what has to be done before the next event, when it can't be done now.
	 * @throws E_CORRUPT_EVENT, E_SCHEMA_AMBIGUOUS
	 */
	tableMap(event: LogEvent): (() => Promise<void>) | null {
		const { tables, flavour, wanted } = this.#options;
		const { id, next } = readTableId(event, this.#format);
		const seen = this.#maps.get(id);
		const body = event.bytes.subarray(next, event.bodyEnd);
		const isSame = seen?.body.equals(body) === true;
		if (isSame && (seen.known === undefined || wanted(seen.known) === undefined)) return null;
		const map = readTableMap(event, this.#format, flavour);
		const table = tables.get({ schema: map.schema, name: map.table });
		const followed = wanted(table) ?? null;
		const known = followed === null ? table : undefined;
		const kept = { body: Buffer.from(body), followed, known, columnCount: map.columns.length };
		if (followed === null) {
			this.#maps.set(id, kept);
			return null;
		}
		const ready = () => {
			const changed = tables.prepare(map, followed);
			this.#maps.set(id, kept);
			if (changed !== null) this.#changed(changed);
		};
		const missing = () => tables.missingCharsets(map, followed);
		const at = this.#options.place();
		const fits = tables.fits(map, followed, at);
		if (!fits || missing().length > 0)
			return async () => {
				if (fits || (await tables.recall(map, followed, at))) {
					await tables.loadCharsets(missing());
					ready();
				} else {
					this.#lose(map, followed);
					this.#maps.set(id, kept);
				}
			};
		ready();
		return null;
	}

	/**
	 * The columns of these rows can't be known: the table is read anew, or nothing goes on.
	 * @throws E_SCHEMA_AMBIGUOUS
	 */
	#lose(map: TableMap, followed: FollowedTable): void {
		if (!this.#options.tables.canReadAnew(followed)) throw unknownColumns(map, followed);
		const before = followed.seen ?? followed.table;
		this.#changed({ kind: "schema", before, after: null, rereads: true, statement: "alter" });
		followed.images?.abandon();
		followed.images = null;
		followed.isLost = true;
	}

	#changed(event: ChangedSchema): void {
		this.flush();
		this.#options.emit(event);
	}

	/**
	 * Takes the rows of an event and gives how many; null when its table is not followed. `begins` gives the number of
	 * their transaction, see ChangedRows.
	 * @throws E_CORRUPT_EVENT; E_VALUE, E_ENCODING by policy
	 */
	take(event: LogEvent, form: NonNullable<ReturnType<typeof rowsForm>>, begins: () => number): number | null {
		const seen = this.#maps.get(readTableId(event, this.#format).id);
		if (seen === undefined) throw corrupt("rows of a table that it has not described");
		const { followed, columnCount } = seen;
		if (followed === null || followed.isLost) return null;
		const transaction = begins();
		const count = followed.images!.take({ ...readRows(event, form, this.#format, columnCount), transaction });
		if (this.#open.has(followed)) return count;
		this.#open.add(followed);
		let held = 0;
		for (const { images } of this.#open) held += images?.heldBytes ?? 0;
		if (held > OPEN_BATCH_BYTES_MAX) this.flush();
		return count;
	}

	/** @throws E_LOG_SETTINGS when the table is followed */
	refuseParts(event: LogEvent): void {
		const followed = this.#maps.get(readTableId(event, this.#format).id)?.followed;
		if (followed === null || followed === undefined) return;
		throw new HeadraceError(
			"E_LOG_SETTINGS",
			`an update of ${qualified(followed.name)} is in the log only as the parts of its JSON that changed`,
			{
				table: qualified(followed.name),
				hint: "Run: SET GLOBAL binlog_row_value_options = ''; and reconnect its writers.",
			},
		);
	}
}
