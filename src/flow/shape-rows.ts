import { Batch, Column, HeadraceError, type SourceColumn, type TargetColumn, typeName } from "../core/index.ts";
import { castColumn } from "./cast-column.ts";

/** How a column that is read lands, where that is not as it is. By its name in the source. */
export interface RowShape {
	/** Values are counted and don't land; such columns are the last that are read. */
	readonly discarded: ReadonlySet<string>;
	/** A value that the target's type can't hold becomes NULL and is counted; in other columns it stops the load. */
	readonly misfitsToNull: ReadonlySet<string>;
	/** Columns of the table that the source no longer has. A table that is built anew gets them, empty. */
	readonly kept: readonly KeptColumn[];
}

/** `source`: its name in the source once; absent where its values may not land, as those of one that was masked. */
export type KeptColumn = TargetColumn & { readonly source?: string };

/** Values of columns that no source has, the same in every row: text, or a 64-bit integer. By the column's name in the target. */
export type Constants = ReadonlyMap<string, string | bigint>;

export const PLAIN_SHAPE: RowShape = { discarded: new Set(), misfitsToNull: new Set(), kept: [] };

/** Brings batches into the form of the table: casts, leaves out, and adds empty columns. Batches that fit pass as they are. */
export class RowShaper {
	readonly #targets: readonly TargetColumn[];
	readonly #columns: readonly SourceColumn[];
	readonly #shape: RowShape;
	/** Values that were left out, by column. */
	readonly #discardedCounts: Record<string, number>;
	readonly #constants: Constants;
	readonly #free: Column[][] = [];

	/** `columns` are read; `targets` land: those columns in the same order, then empty ones, but for `constants`. */
	constructor(
		columns: readonly SourceColumn[],
		targets: readonly TargetColumn[],
		shape: RowShape,
		discardedCounts: Record<string, number>,
		constants: Constants = new Map(),
	) {
		this.#columns = columns;
		this.#targets = targets;
		this.#shape = shape;
		this.#discardedCounts = discardedCounts;
		this.#constants = constants;
	}

	/** @throws E_VALUE when a value does not fit the table's type and may not become NULL */
	apply(batch: Batch): Batch {
		if (this.#fits(batch)) return batch;
		try {
			return this.#shaped(batch);
		} catch (error) {
			batch.release();
			throw error;
		}
	}

	#fits({ columns }: Batch): boolean {
		if (columns.length !== this.#targets.length) return false;
		return this.#targets.every(({ type }, index) => typeName(columns[index]!.type) === typeName(type));
	}

	#shaped(batch: Batch): Batch {
		this.#columns.forEach(({ name }, index) => {
			const left = this.#shape.discarded.has(name) ? batch.rowCount - batch.columns[index]!.nullCount : 0;
			if (left > 0) this.#discardedCounts[name] = (this.#discardedCounts[name] ?? 0) + left;
		});
		const landing = this.#columns.filter(({ name }) => !this.#shape.discarded.has(name)).length;
		const own = this.#free.pop() ?? [];
		let used = 0;
		const next = (name: string, type: TargetColumn["type"], capacity: number): Column => {
			const known = own[used];
			const column =
				known !== undefined && known.validity.length * 8 >= capacity ? known : new Column(name, type, capacity);
			column.reset();
			own[used++] = column;
			return column;
		};
		const capacity = (batch.columns[0]?.validity.length ?? 1) * 8;
		const columns = this.#targets.map((target, index) => {
			if (index >= landing) {
				const empty = next(target.name, target.type, capacity);
				const constant = this.#constants.get(target.name);
				if (constant === undefined) for (let row = 0; row < batch.rowCount; row++) empty.setNull(row);
				else if (typeof constant === "bigint") empty.i64.fill(constant, 0, batch.rowCount);
				else {
					const bytes = Buffer.from(constant);
					for (let row = 0; row < batch.rowCount; row++) empty.setBytes(row, bytes, 0, bytes.length);
				}
				return empty;
			}
			const from = batch.columns[index]!;
			if (typeName(from.type) === typeName(target.type)) return from;
			const to = next(from.name, target.type, capacity);
			castColumn(from, to, batch.rowCount, (row) => this.#misfit(to, row, target));
			return to;
		});
		const shaped = new ShapedBatch(columns, batch, () => this.#free.push(own));
		shaped.rowCount = batch.rowCount;
		return shaped;
	}

	#misfit(column: Column, row: number, target: TargetColumn): void {
		if (this.#shape.misfitsToNull.has(column.name) && target.nullable) {
			column.setChangedNull(row);
			return;
		}
		throw new HeadraceError(
			"E_VALUE",
			`a value of column ${column.name} does not fit ${typeName(target.type)}, which the destination's ${target.name} has`,
			{
				hint: "`schema_changes: evolve` gives the destination the source's type; `discard` makes such values NULL.",
			},
		);
	}
}

/** Columns of another batch and some of its own; releasing it gives both back. */
class ShapedBatch extends Batch {
	readonly #of: Batch;
	readonly #giveBack: () => void;

	constructor(columns: readonly Column[], of: Batch, giveBack: () => void) {
		super(columns, null);
		this.#of = of;
		this.#giveBack = giveBack;
	}

	override release(): void {
		this.#of.release();
		this.#giveBack();
	}
}
