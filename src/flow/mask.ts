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
function nameOf(masks: ColumnMasks): string {
	if (masks.size === 0) return "";
	const parts = [...masks].map(([column, mask]) => {
		if (mask.kind === "null") return [column, mask.kind];
		if (mask.kind === "partial") return [column, mask.kind, mask.keep];
		return [column, mask.kind, new KeyedHash(mask.secret).hex(Buffer.from("headrace mask")).toString("latin1")];
	});
	return createHash("sha256").update(JSON.stringify(parts.sort())).digest("hex").slice(0, 12);
}

/** The schema version of a table with masks: `<shape>`, `<shape>.<masks>` or `<shape>.<masks>.<masks of the key>`. */
export function maskedSchemaVersion(shape: string, masks: ColumnMasks, key: readonly string[]): string {
	const ofKey = new Map([...masks].filter(([column]) => key.includes(column)));
	return [shape, nameOf(masks), nameOf(ofKey)].filter((part) => part !== "").join(".");
}

/** What of the masks differs between two schema versions: rows of the two don't belong into one table as they are. */
export function maskChange(before: string, now: string): "none" | "columns" | "key" {
	const [, masksBefore, keyBefore] = before.split(".");
	const [, masksNow, keyNow] = now.split(".");
	if (keyBefore !== keyNow) return "key";
	return masksBefore === masksNow ? "none" : "columns";
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
		const known = this.#free.pop();
		const capacity = capacityOf(batch.columns[this.#columns[0]!.index]!);
		// A batch that is longer than those before gets columns of its own.
		if (known === undefined || capacityOf(known[0]!) < capacity)
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
