import { createHash } from "node:crypto";
import { Batch, Column, type ColumnType, HeadraceError, type Secret } from "../core/index.ts";
import { valueText } from "../formats/index.ts";
import { HASH_HEX_BYTES, KeyedHash } from "./keyed-hash.ts";

/** How a column's values are hidden before they leave the process. */
export type ColumnMask =
	| { readonly kind: "hmac"; readonly secret: Secret }
	| { readonly kind: "partial"; readonly keep: number }
	| { readonly kind: "null" };

/** By the columns' names in the source. */
export type ColumnMasks = ReadonlyMap<string, ColumnMask>;

const TEXT: ColumnType = { kind: "text" };
/** Stands for what is hidden, however long that is. */
const STARS = Buffer.from("***");

/** The type that the masked values have. */
export function maskedType(mask: ColumnMask, type: ColumnType): ColumnType {
	return mask.kind === "null" ? type : TEXT;
}

/** What `plan` says about a masked column, without a full stop. */
export function maskNote(mask: ColumnMask): string {
	switch (mask.kind) {
		case "hmac":
			return "masked: its HMAC-SHA-256 by the secret";
		case "partial":
			return `masked: at most its last ${mask.keep} characters`;
		case "null":
			return "masked: always NULL";
	}
}

/**
 * Names the masks of a table: another column, kind or secret gives another name. Empty when there are none. The secret
 * itself can't be read from it any better than from the hashes that it makes.
 */
export function maskVersion(masks: ColumnMasks): string {
	if (masks.size === 0) return "";
	const parts = [...masks].map(([column, mask]) => {
		const detail =
			mask.kind === "hmac"
				? new KeyedHash(mask.secret).hex(Buffer.from("headrace mask")).toString("latin1")
				: mask.kind === "partial"
					? mask.keep
					: "";
		return [column, mask.kind, detail];
	});
	return createHash("sha256").update(JSON.stringify(parts.sort())).digest("hex").slice(0, 12);
}

type Setter = (into: Column, from: Column, row: number) => void;

interface MaskedColumn {
	readonly index: number;
	readonly type: ColumnType;
	readonly set: Setter;
}

/**
 * Puts masked columns in the place of a batch's own. The batch that comes out takes over the one that goes in: releasing
 * it releases both. Masked values count as changed.
 */
export class Masker {
	readonly #columns: readonly MaskedColumn[];
	readonly #free: Column[][] = [];
	#capacity = 0;

	/** @throws E_INTERNAL when a mask's column is not among the fields */
	constructor(fields: readonly { readonly name: string; readonly type: ColumnType }[], masks: ColumnMasks) {
		this.#columns = [...masks].map(([name, mask]) => {
			const index = fields.findIndex((field) => field.name === name);
			const field = fields[index];
			if (field === undefined) throw new HeadraceError("E_INTERNAL", `the masked column ${name} is not read`);
			return { index, type: maskedType(mask, field.type), set: setterOf(mask) };
		});
	}

	apply(batch: Batch): Batch {
		if (this.#columns.length === 0) return batch;
		const masked = this.#take(batch);
		const columns = [...batch.columns];
		for (const [place, { index, set }] of this.#columns.entries()) {
			const from = batch.columns[index]!;
			const into = masked[place]!;
			for (let row = 0; row < batch.rowCount; row++) {
				if (from.isNull(row)) into.setNull(row);
				else {
					set(into, from, row);
					into.changedCount++;
				}
			}
			columns[index] = into;
		}
		return new MaskedBatch(columns, batch, () => this.#free.push(masked));
	}

	#take(batch: Batch): Column[] {
		// Every batch of a pool is as long as the first; one that is longer gets columns of its own.
		const capacity = Math.max(64, Math.ceil(batch.rowCount / 64) * 64, ...batch.columns.map(capacityOf));
		if (capacity !== this.#capacity) {
			this.#free.length = 0;
			this.#capacity = capacity;
		}
		const known = this.#free.pop();
		if (known === undefined)
			return this.#columns.map(({ index, type }) => new Column(batch.columns[index]!.name, type, capacity));
		for (const column of known) column.reset();
		return known;
	}
}

function capacityOf(column: Column): number {
	return column.data.byteLength / column.width;
}

class MaskedBatch extends Batch {
	readonly #raw: Batch;
	readonly #giveBack: () => void;

	constructor(columns: readonly Column[], raw: Batch, giveBack: () => void) {
		super(columns, null);
		this.rowCount = raw.rowCount;
		this.#raw = raw;
		this.#giveBack = giveBack;
	}

	override get heldBytes(): number {
		return super.heldBytes + this.#raw.heldBytes;
	}

	override release(): void {
		this.#raw.release();
		this.#giveBack();
	}
}

function setterOf(mask: ColumnMask): Setter {
	if (mask.kind === "null") return (into, _from, row) => into.setNull(row);
	if (mask.kind === "hmac") {
		const keyed = new KeyedHash(mask.secret);
		return (into, from, row) => into.setBytes(row, keyed.hex(textBytes(from, row)), 0, HASH_HEX_BYTES);
	}
	return (into, from, row) => {
		const bytes = textBytes(from, row);
		const start = shownFrom(bytes, mask.keep);
		const shown = Buffer.concat([STARS, bytes.subarray(start)]);
		into.setBytes(row, shown, 0, shown.length);
	};
}

/** The bytes of a value's canonical text. */
function textBytes(column: Column, row: number): Uint8Array {
	const { kind } = column.type;
	if (kind === "text" || kind === "json" || kind === "list") return column.bytes(row);
	return Buffer.from(valueText(column, row) ?? "", "utf8");
}

/** Where the last `keep` characters begin, but not before the second half of them. */
function shownFrom(bytes: Uint8Array, keep: number): number {
	let shown = 0;
	let characters = 0;
	// An upper bound suffices: a value of twice as many characters as are kept shows all of those.
	for (let at = bytes.length - 1; at >= 0 && characters < keep * 2; at--) if (isStart(bytes[at]!)) characters++;
	const wanted = Math.min(keep, Math.floor(characters / 2));
	let at = bytes.length;
	while (at > 0 && shown < wanted) {
		at--;
		if (isStart(bytes[at]!)) shown++;
	}
	return at;
}

/** A byte that begins a character of UTF-8. */
function isStart(byte: number): boolean {
	return (byte & 0xc0) !== 0x80;
}
