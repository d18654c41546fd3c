import { type BeforeImages, type ChangedRows, ChangeOperation, isView, type TypePolicy } from "../../../core/index.ts";
import { ABSENT_FIELD, ImageBatches, NULL_FIELD } from "../../../formats/index.ts";
import { checkText } from "../decode-text.ts";
import { corrupt } from "./bytes.ts";
import type { Layout } from "./layout.ts";
import { WireValues } from "./printed.ts";

const IS_NULL = 0x6e;
const IS_UNCHANGED = 0x75;
const IS_TEXT = 0x74;
const NEW = 0x4e;
const OLD_KEY = 0x4b;
const OLD_ROW = 0x4f;

export interface RowImagesOptions {
	readonly before: BeforeImages;
	readonly policy: TypePolicy;
	/** The database's encoding is SQL_ASCII. */
	readonly textUnchecked: boolean;
	readonly emit: (rows: ChangedRows) => void;
}

/**
 * Tuples of one table into batches. Of a tuple an unchanged TOAST value is absent, and of an old one what is not of the
 * replica identity.
 */
export class RowImages {
	readonly layout: Layout;
	readonly #images: ImageBatches;

	constructor(layout: Layout, { before, policy, textUnchecked, emit }: RowImagesOptions) {
		const { table, keys, values } = layout;
		const { columns } = table;
		this.layout = layout;
		const texts = textUnchecked
			? [...columns.keys()].filter((index) => isView(columns[index]!.type) && columns[index]!.type.kind !== "binary")
			: [];
		const wire = new WireValues();
		const images: ImageBatches = new ImageBatches({
			table,
			keys,
			before,
			decode: (field, bytes, at, count, column, row) => {
				const { transcode, decode } = values[field]!;
				if (transcode === null) decode(bytes, images.offsets, images.lengths, at, count, column, row);
				else {
					transcode(bytes, images.offsets, images.lengths, at, count, wire);
					decode(wire.bytes, wire.offsets, wire.lengths, 0, count, column, row);
				}
			},
			check: (batch) => {
				for (const index of texts) checkText(batch.columns[index]!, batch.rowCount, policy.invalidText);
			},
			emit,
		});
		this.#images = images;
	}

	/** Bytes that the batch which is being filled holds. */
	get heldBytes(): number {
		return this.#images.heldBytes;
	}

	/**
	 * Takes the tuples of an INSERT, UPDATE or DELETE: [start, end) behind the table's oid.
	 * @throws E_CORRUPT_EVENT; E_VALUE, E_ENCODING by policy
	 */
	take(bytes: Buffer, start: number, end: number, operation: ChangeOperation, transaction: number): void {
		const images = this.#images;
		images.enter(bytes);
		const slot = images.slot();
		const mark = bytes[start];
		let at: number;
		if (mark === NEW) {
			at = this.#scan(bytes, start + 1, end, slot, false);
			images.keep(slot, operation, transaction);
		} else if (mark === OLD_KEY || mark === OLD_ROW) {
			at = this.#scan(bytes, start + 1, end, slot, mark === OLD_KEY);
			if (operation === ChangeOperation.update) {
				if (bytes[at] !== NEW) throw corrupt("an UPDATE without its new row");
				at = this.#scan(bytes, at + 1, end, slot + 1, false);
				// The old key alone comes only when it changed.
				images.keepUpdate(bytes, slot, transaction, mark === OLD_KEY);
			} else images.keep(slot, operation, transaction);
		} else throw corrupt("a row of an unknown kind");
		if (at !== end) throw corrupt("a row that does not end with its message");
		images.count(end - start);
	}

	/** Notes where the fields of a tuple lie; gives where it ends. Of an old key the other columns are not told. */
	#scan(bytes: Buffer, start: number, end: number, slot: number, keyOnly: boolean): number {
		const { targets, identity } = this.layout;
		const { offsets, lengths, capacity } = this.#images;
		const count = targets.length;
		if (((bytes[start]! << 8) | bytes[start + 1]!) !== count) throw corrupt("a row with other columns than its table");
		let at = start + 2;
		for (let index = 0; index < count; index++) {
			const field = targets[index]! * capacity + slot;
			const kind = bytes[at++];
			if (kind === IS_TEXT) {
				const length = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
				at += 4;
				offsets[field] = at;
				lengths[field] = length;
				if (length < 0) throw corrupt("a value of a negative length");
				at += length;
			} else if (kind === IS_NULL && (!keyOnly || identity[index] === 1)) lengths[field] = NULL_FIELD;
			else if (kind === IS_NULL || kind === IS_UNCHANGED) {
				lengths[field] = ABSENT_FIELD;
				this.#images.someAbsent = true;
			} else throw corrupt("a value of an unknown kind");
			if (at > end) throw corrupt("a row that ends too early");
		}
		return at;
	}

	/** Decodes what was taken: the bytes that it lies in may change from here on. */
	settle(): void {
		this.#images.settle();
	}

	/** Hands over what there is. */
	flush(): void {
		this.#images.flush();
	}

	/** Gives back what was not handed over. */
	abandon(): void {
		this.#images.abandon();
	}
}
