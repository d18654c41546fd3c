import fc from "fast-check";
import { expect, test } from "vitest";
import type { TableColumn } from "../catalog.ts";
import type { ColumnChanges } from "./alter-clauses.ts";
import type { Charsets } from "./charsets.ts";
import { earlierTable } from "./earlier-columns.ts";
import { type LogColumn, LogType, type TableMap } from "./table-map.ts";

const TYPES = {
	int: { type: LogType.long },
	bigint: { type: LogType.longlong },
	date: { type: LogType.date },
	double: { type: LogType.double },
} as const;
type TypeName = keyof typeof TYPES;

/** A column of the model; `number` tells columns of one name apart. */
interface Column {
	readonly name: string;
	readonly type: TypeName;
	readonly nullable: boolean;
	readonly number: number;
}

const charsets = { nameOf: () => undefined, isReady: () => true } as unknown as Charsets;

function catalogColumn({ name, type, nullable }: Column): TableColumn {
	const text = { dataType: type, columnType: type, collation: null, precision: null, scale: null };
	return { name, ...text, nullable, isJson: false, defaultText: null, extra: "", readable: true };
}

function mapOf(columns: readonly Column[]): TableMap {
	const logged = columns.map(
		({ type, nullable }): LogColumn => ({ ...TYPES[type], size: 0, precision: 0, scale: 0, nullable }),
	);
	return { tableId: 1, schema: "s", table: "t", columns: logged, full: false };
}

const name = { schema: "s", name: "t" };

function described(columns: readonly Column[]) {
	const source = columns.map((column) => ({
		name: column.name,
		type: { kind: "text" as const },
		nullable: column.nullable,
		nativeType: column.type,
		fidelity: "exact" as const,
	}));
	return {
		table: { name, kind: "table" as const, columns: source, primaryKey: ["id"], warnings: [] },
		catalog: {
			name,
			isView: false,
			columns: columns.map(catalogColumn),
			primaryKey: ["id"],
			estimatedRows: null,
			warnings: [],
		},
	};
}

/** Applies one of each kind of change, drawn by numbers, as the server would. */
function change(columns: Column[], [kind, at, to, made]: readonly [number, number, number, Column]): ColumnChanges {
	const free = columns.slice(1);
	const picked = free[at % Math.max(1, free.length)];
	const none: ColumnChanges = { added: [], dropped: [], renamed: [], isSure: true };
	if (kind === 0 || picked === undefined) {
		if (columns.some((column) => column.name === made.name)) return none;
		columns.splice(to % (columns.length + 1), 0, made);
		return { ...none, added: [made.name] };
	}
	const index = columns.indexOf(picked);
	if (kind === 1) {
		columns.splice(index, 1);
		return { ...none, dropped: [picked.name] };
	}
	if (kind === 2) {
		if (columns.some((column) => column.name === made.name)) return none;
		columns[index] = { ...picked, name: made.name };
		return { ...none, renamed: [[picked.name, made.name]] };
	}
	if (kind === 3) {
		// Dropped, and another one made of its name at once.
		columns.splice(index, 1);
		columns.splice(to % (columns.length + 1), 0, { ...made, name: picked.name });
		return { ...none, dropped: [picked.name], added: [picked.name] };
	}
	const other = free[to % free.length]!;
	if (other === picked) return none;
	// Two exchange their names.
	columns[columns.indexOf(other)] = { ...other, name: picked.name };
	columns[index] = { ...picked, name: other.name };
	return {
		...none,
		renamed: [
			[picked.name, other.name],
			[other.name, picked.name],
		],
	};
}

test("law: changes that are taken back give the columns of then at their places, or nothing", () => {
	let known = 0;
	let runs = 0;
	const column = fc.record({
		name: fc.constantFrom("a", "b", "c", "d", "e", "f"),
		type: fc.constantFrom<TypeName>("int", "bigint", "date", "double"),
		nullable: fc.boolean(),
		number: fc.integer(),
	});
	fc.assert(
		fc.property(
			fc.uniqueArray(column, { minLength: 1, maxLength: 5, selector: (one) => one.name }),
			fc.array(fc.tuple(fc.nat(4), fc.nat(9), fc.nat(9), column), { minLength: 1, maxLength: 3 }),
			(made, steps) => {
				let number = 0;
				const own = (one: Column): Column => ({ ...one, number: ++number });
				const before: Column[] = [own({ name: "id", type: "int", nullable: false, number: 0 }), ...made.map(own)];
				const columns = [...before];
				const changes = steps.map(([kind, at, to, one]) => change(columns, [kind, at, to, own(one)]));
				const earlier = earlierTable(described(columns), changes, mapOf(before), charsets);
				runs++;
				if (earlier === null) return;
				known++;
				const kept = new Set(columns.map((one) => one.number));
				const expected = before.map((one) => (kept.has(one.number) ? one.name : null));
				const found = earlier.catalog.columns.map((one, index) => (earlier.gone.has(index) ? null : one.name));
				expect(found).toEqual(expected);
				const told = earlier.table.columns.map((one) => one.name).sort();
				expect(told).toEqual(expected.filter((one) => one !== null).sort());
				// What is gone is nobody's name.
				for (const index of earlier.gone) expect(told).not.toContain(earlier.catalog.columns[index]!.name);
			},
		),
		{ numRuns: 2000 },
	);
	expect(known / runs).toBeGreaterThan(0.4);
});

test("a column that could have been part of the key is not taken back", () => {
	const id: Column = { name: "id", type: "int", nullable: false, number: 1 };
	const part: Column = { name: "part", type: "date", nullable: false, number: 2 };
	const changes = [{ added: [], dropped: ["part"], renamed: [], isSure: true }];
	expect(earlierTable(described([id]), changes, mapOf([id, part]), charsets)).toBe(null);
	const nullable = { ...part, nullable: true };
	expect(earlierTable(described([id]), changes, mapOf([id, nullable]), charsets)?.gone).toEqual(new Set([1]));
});
