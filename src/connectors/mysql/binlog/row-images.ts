import { type BeforeImages, type ChangedRows, ChangeOperation, type TypePolicy } from "../../../core/index.ts";
import { ABSENT_FIELD, ImageBatches, NULL_FIELD } from "../../../formats/index.ts";
import { checkUtf8 } from "../decode-bytes.ts";
import { needsUtf8Check } from "../decoders.ts";
import { decoderOf } from "../row-decoder.ts";
import { corrupt } from "./bytes.ts";
import type { Layout } from "./layout.ts";

/** What an event of rows does. */
export type RowsKind = "insert" | "update" | "delete";

/** A range of an event's bytes with images, and which columns they have: bitmaps, lowest bit first. */
export interface RowImagesEvent {
	readonly kind: RowsKind;
	readonly bytes: Buffer;
	readonly start: number;
	readonly end: number;
	/** Of the image before, or the only one. */
	readonly present: Uint8Array;
	/** Of an update's image after. */
	readonly presentAfter: Uint8Array;
	/** See ChangedRows.transactions. */
	readonly transaction: number;
}

/** The images of one table's rows into batches. */
export class RowImages {
	readonly layout: Layout;
	readonly #images: ImageBatches;

	constructor(layout: Layout, before: BeforeImages, policy: TypePolicy, emit: (rows: ChangedRows) => void) {
		const { table, decodes } = layout;
		const { columns } = table;
		this.layout = layout;
		const texts = [...columns.keys()].filter((index) =>
			needsUtf8Check(decoderOf(columns[index]!), columns[index]!.type),
		);
		// Without a key a row is known by all that it holds.
		const key = table.primaryKey.length > 0 ? table.primaryKey : columns.map((column) => column.name);
		const keys = Int32Array.from(key, (name) => columns.findIndex((column) => column.name === name)).filter(
			(index) => index >= 0,
		);
		const images: ImageBatches = new ImageBatches({
			table,
			keys,
			before,
			decode: (field, bytes, at, count, column, row) =>
				decodes[field]!(bytes, images.offsets, images.lengths, at, count, column, row, policy),
			check: (batch) => {
				for (const index of texts) checkUtf8(batch.columns[index]!, batch.rowCount, policy.invalidText);
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
	 * Takes the rows of an event; gives how many.
	 * @throws E_CORRUPT_EVENT; E_VALUE, E_ENCODING by policy
	 */
	take(event: RowImagesEvent): number {
		const { bytes, kind, start, end, transaction } = event;
		const images = this.#images;
		images.enter(bytes);
		let at = start;
		let count = 0;
		while (at < end) {
			const from = at;
			const slot = images.slot();
			at = this.#scan(bytes, at, end, event.present, slot);
			if (kind === "update") {
				at = this.#scan(bytes, at, end, event.presentAfter, slot + 1);
				images.keepUpdate(bytes, slot, transaction);
			} else images.keep(slot, kind === "insert" ? ChangeOperation.insert : ChangeOperation.delete, transaction);
			// Images of no columns would go on for ever.
			if (at === from) throw corrupt("a row without columns");
			images.count(at - from);
			count++;
		}
		return count;
	}

	/** Notes where the fields of an image lie; gives where the next image begins. */
	#scan(bytes: Buffer, start: number, end: number, present: Uint8Array, slot: number): number {
		const { targets, fixedBytes, lengthBytes } = this.layout;
		const { offsets, lengths, capacity } = this.#images;
		const count = targets.length;
		let told = 0;
		for (let index = 0; index < count; index++) told += (present[index >> 3]! >> (index & 7)) & 1;
		const nulls = start;
		let at = start + ((told + 7) >> 3);
		let place = 0;
		for (let index = 0; index < count; index++) {
			const target = targets[index]!;
			const field = target * capacity + slot;
			if (((present[index >> 3]! >> (index & 7)) & 1) === 0) {
				if (target >= 0) {
					lengths[field] = ABSENT_FIELD;
					this.#images.someAbsent = true;
				}
				continue;
			}
			const isNull = (bytes[nulls + (place >> 3)]! >> (place & 7)) & 1;
			place++;
			if (isNull === 1) {
				if (target >= 0) lengths[field] = NULL_FIELD;
				continue;
			}
			let length = fixedBytes[index]!;
			if (length < 0) {
				const size = lengthBytes[index]!;
				if (at + size > end) throw corrupt("a row that ends too early");
				length = bytes[at]!;
				if (size > 1) length += bytes[at + 1]! * 256;
				if (size > 2) length += bytes[at + 2]! * 65_536;
				if (size > 3) length += bytes[at + 3]! * 16_777_216;
				at += size;
			}
			if (target >= 0) {
				offsets[field] = at;
				lengths[field] = length;
			}
			at += length;
			if (at > end) throw corrupt("a row that ends too early");
		}
		if (at > end) throw corrupt("a row that ends too early");
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
