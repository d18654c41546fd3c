import { describe, expect, test } from "vitest";
import { type ColumnType, parseColumnType, type RecordedColumn, typeName } from "../core/index.ts";
import type { Evolution, EvolveInput } from "./evolution.ts";
import { recordOf } from "./evolution-record.ts";
import { evolve } from "./evolve.ts";
import type { CurrentColumn } from "./schema-diff.ts";
import type { SchemaPolicy } from "./schema-rules.ts";

const type = (text: string): ColumnType => parseColumnType(text)!;

/** `a int32`, `a int32 not null`, with more of it behind. */
function column(text: string, more: Partial<CurrentColumn> = {}): CurrentColumn {
	const [name, typeText] = text.split(" ") as [string, string];
	return {
		name,
		target: name,
		sourceType: typeText,
		type: type(typeText),
		nullable: !text.endsWith(" not null"),
		ordinal: 1,
		...more,
	};
}

interface Case {
	readonly before: readonly CurrentColumn[];
	readonly now: readonly CurrentColumn[];
	readonly policy?: SchemaPolicy;
	readonly keyBefore?: readonly string[];
	readonly key?: readonly string[];
	readonly more?: Partial<EvolveInput>;
	/** Changes to what was recorded, by column. */
	readonly recorded?: Readonly<Record<string, Partial<RecordedColumn>>>;
	/** Changes to the table, by column: a type, or null when it is not there. */
	readonly table?: Readonly<Record<string, string | null>>;
}

const ID = column("id int32 not null");

function decide({ before, now, policy = "evolve", keyBefore, key, more, recorded, table }: Case): Evolution {
	const keyNow = key ?? ["id"];
	const record = [ID, ...before].map((each) => ({
		...recordOf(each, keyBefore ?? keyNow, each.type),
		...recorded?.[each.name],
	}));
	const shape = new Map(
		record.map((each) => [each.target, { type: type(each.landed), nullable: each.nullable }] as const),
	);
	for (const [name, text] of Object.entries(table ?? {}))
		if (text === null) shape.delete(name);
		else shape.set(name, { type: type(text.split(" ")[0]!), nullable: !text.endsWith(" not null") });
	return evolve({
		policy,
		onTypeChange: "resnapshot",
		current: [ID, ...now],
		key: keyNow,
		recorded: record,
		existing: { column: (name) => shape.get(name) ?? null },
		fold: (name) => name,
		mode: "incremental",
		updates: keyNow.length > 0,
		noSecondReading: null,
		needed: keyNow,
		...more,
	});
}

/** `kind: does` of each decision, and how rows are read. */
function told(evolution: Evolution): string {
	const decisions = evolution.decisions.map((each) => `${each.column} ${each.kind}: ${each.does}`);
	return [...decisions, ...(evolution.reading === "usual" ? [] : [evolution.reading])].join(", ");
}

const lands = ({ landing }: Evolution) =>
	landing
		.filter((each) => each.name !== "id")
		.map(
			(each) =>
				`${each.name} → ${each.discarded ? "nowhere" : `${each.target} ${typeName(each.type)}`}${each.misfit ? " or NULL" : ""}${each.renamedFrom ? ` from ${each.renamedFrom}` : ""}${each.fill ? " filled" : ""}${each.notNull ? " not null" : ""}`,
		)
		.join(", ");

const A = column("a int32", { identity: "9.2", ordinal: 2 });
const B = column("b int32", { ordinal: 2 });
const OLD_A = column("a int32", { ordinal: 2 });
const WIDE = column("b int64");
const NUMBER_TEXT = column("b text");

/** One row a change of docs/schema-changes.md, one entry a policy: what is told, and how the columns land. */
const CELLS: readonly (readonly [string, Case, Readonly<Record<SchemaPolicy, readonly [string, string]>>])[] = [
	[
		"a column that may be NULL is added",
		{ before: [], now: [column("b int32")] },
		{
			evolve: ["b added: add, again", "b → b int32"],
			freeze: ["b added: leave out", ""],
			discard: ["b added: discard", "b → nowhere"],
			fail: ["b added: stop", ""],
		},
	],
	[
		"a column with a default is added",
		{ before: [], now: [column("b int32 not null", { defaultSql: "7" })] },
		{
			evolve: ["b added: add, again", "b → b int32 filled"],
			freeze: ["b added: leave out", ""],
			discard: ["b added: discard", "b → nowhere"],
			fail: ["b added: stop", ""],
		},
	],
	[
		"a column is dropped",
		{ before: [B], now: [] },
		{
			evolve: ["b dropped: keep", ""],
			freeze: ["b dropped: keep or stop", ""],
			discard: ["b dropped: keep", ""],
			fail: ["b dropped: stop", ""],
		},
	],
	[
		"a column that is NOT NULL is dropped",
		{ before: [column("b int32 not null")], now: [] },
		{
			evolve: ["b dropped: keep", ""],
			freeze: ["b dropped: stop", ""],
			discard: ["b dropped: keep", ""],
			fail: ["b dropped: stop", ""],
		},
	],
	[
		"a column is renamed, as the source's catalog proves",
		{ before: [A], now: [{ ...A, name: "b", target: "b" }] },
		{
			evolve: ["b renamed: rename", "b → b int32 from a"],
			freeze: ["b renamed: alias", "b → a int32"],
			discard: ["b renamed: discard", "b → nowhere"],
			fail: ["b renamed: stop", ""],
		},
	],
	[
		"a column is renamed, as the pipeline declares",
		{ before: [OLD_A], now: [{ ...B, renamedFrom: "a" }] },
		{
			evolve: ["b renamed: rename", "b → b int32 from a"],
			freeze: ["b renamed: alias", "b → a int32"],
			discard: ["b renamed: discard", "b → nowhere"],
			fail: ["b renamed: stop", ""],
		},
	],
	[
		"a column is perhaps renamed",
		{ before: [OLD_A], now: [B] },
		{
			evolve: ["b perhaps renamed: add, a dropped: keep, again", "b → b int32"],
			freeze: ["b perhaps renamed: stop, a dropped: keep or stop", ""],
			discard: ["b perhaps renamed: discard, a dropped: keep", "b → nowhere"],
			fail: ["b perhaps renamed: stop", ""],
		},
	],
	[
		"a type is widened",
		{ before: [B], now: [WIDE] },
		{
			evolve: ["b widened: alter", "b → b int64"],
			freeze: ["b widened: cast", "b → b int32"],
			discard: ["b widened: cast or null", "b → b int32 or NULL"],
			fail: ["b widened: stop", ""],
		},
	],
	[
		"a type is narrowed",
		{ before: [WIDE], now: [B] },
		{
			evolve: ["b narrowed: keep wide", "b → b int64"],
			freeze: ["b narrowed: keep wide", "b → b int64"],
			discard: ["b narrowed: keep wide", "b → b int64"],
			fail: ["b narrowed: stop", ""],
		},
	],
	[
		"a type becomes another",
		{ before: [B], now: [NUMBER_TEXT] },
		{
			evolve: ["b retyped: convert, anew", "b → b text"],
			freeze: ["b retyped: cast", "b → b int32"],
			discard: ["b retyped: cast or null", "b → b int32 or NULL"],
			fail: ["b retyped: stop", ""],
		},
	],
	[
		"a text becomes a number",
		{ before: [NUMBER_TEXT], now: [B] },
		{
			evolve: ["b retyped: convert, anew", "b → b int32"],
			freeze: ["b retyped: cast", "b → b text"],
			discard: ["b retyped: cast or null", "b → b text or NULL"],
			fail: ["b retyped: stop", ""],
		},
	],
	[
		"a type is declared otherwise and lands the same",
		{
			before: [column("b text", { sourceType: "varchar(20)" })],
			now: [column("b text", { sourceType: "varchar(50)" })],
		},
		{
			evolve: ["b declared otherwise: nothing", "b → b text"],
			freeze: ["b declared otherwise: nothing", "b → b text"],
			discard: ["b declared otherwise: nothing", "b → b text"],
			fail: ["b declared otherwise: stop", ""],
		},
	],
	[
		"a column that was NOT NULL may be NULL",
		{ before: [column("b int32 not null")], now: [column("b int32")] },
		{
			evolve: ["b may be NULL: loosen", "b → b int32"],
			freeze: ["b may be NULL: refuse null", "b → b int32 not null"],
			discard: ["b may be NULL: refuse null", "b → b int32 not null"],
			fail: ["b may be NULL: stop", "b → b int32"],
		},
	],
	[
		"a column may no longer be NULL",
		{ before: [column("b int32")], now: [column("b int32 not null")] },
		{
			evolve: ["b never NULL: nothing", "b → b int32"],
			freeze: ["b never NULL: nothing", "b → b int32"],
			discard: ["b never NULL: nothing", "b → b int32"],
			fail: ["b never NULL: stop", "b → b int32"],
		},
	],
	[
		"a default changes",
		{ before: [column("b int32", { defaultSql: "1" })], now: [column("b int32", { defaultSql: "2" })] },
		{
			evolve: ["b default changed: nothing", "b → b int32"],
			freeze: ["b default changed: nothing", "b → b int32"],
			discard: ["b default changed: nothing", "b → b int32"],
			fail: ["b default changed: nothing", "b → b int32"],
		},
	],
	[
		"the key changes",
		{ before: [B], now: [B], keyBefore: ["id"], key: ["id", "b"] },
		{
			evolve: ["id, b key changed: build anew, anew", "b → b int32"],
			freeze: ["id, b key changed: stop", "b → b int32"],
			discard: ["id, b key changed: stop", "b → b int32"],
			fail: ["id, b key changed: stop", "b → b int32"],
		},
	],
	[
		"a key is added",
		{ before: [], now: [], keyBefore: [], key: ["id"] },
		{
			evolve: ["id key changed: build anew, anew", ""],
			freeze: ["id key changed: stop", ""],
			discard: ["id key changed: stop", ""],
			fail: ["id key changed: stop", ""],
		},
	],
	[
		"the key is dropped",
		{ before: [], now: [], keyBefore: ["id"], key: [] },
		{
			evolve: ["id key changed: build anew, anew", ""],
			freeze: ["id key changed: stop", ""],
			discard: ["id key changed: stop", ""],
			fail: ["id key changed: stop", ""],
		},
	],
	[
		"a collation changes",
		{ before: [column("b text", { collation: "ci" })], now: [column("b text", { collation: "bin" })] },
		{
			evolve: ["b collation changed: read again, again", "b → b text"],
			freeze: ["b collation changed: read again, again", "b → b text"],
			discard: ["b collation changed: read again, again", "b → b text"],
			fail: ["b collation changed: stop", "b → b text"],
		},
	],
];

describe.each(CELLS)("%s", (_name, change, cells) => {
	test.each(Object.entries(cells))("%s", (policy, [decisions, landing]) => {
		const evolution = decide({ ...change, policy: policy as SchemaPolicy });
		expect(told(evolution)).toBe(decisions);
		expect(lands(evolution)).toBe(landing);
	});

	test("nothing is told once it is taken over, and the record is what the source has", () => {
		const first = decide(change);
		const names = new Map(first.landing.map((each) => [each.target, each]));
		const second = evolve({
			policy: "fail",
			onTypeChange: "resnapshot",
			current: [ID, ...change.now],
			key: change.key ?? ["id"],
			recorded: first.record,
			existing: {
				column: (name) => {
					const landed = names.get(name);
					if (landed !== undefined) return { type: landed.type, nullable: true };
					return first.kept.some((each) => each.target === name) ? { type: type("int32"), nullable: true } : null;
				},
			},
			fold: (name) => name,
			mode: "incremental",
			updates: true,
			noSecondReading: null,
			needed: [],
		});
		expect(told(second)).toBe("");
		expect(second.record).toEqual(first.record);
	});

	test.each(["freeze", "discard"] as const)("%s finds it again, until it is taken over", (policy) => {
		const first = decide({ ...change, policy });
		if (first.decisions.some((each) => ["stop", "nothing", "read again", "keep wide"].includes(each.does))) return;
		const again = evolve({ ...inputOf(change, policy), recorded: first.record });
		// What went is recorded as gone, so it is no longer told.
		const left = told(first)
			.replace(/,? ?\w+ dropped: [a-z ]+/, "")
			.replace("perhaps renamed", "added");
		expect(told(again)).toBe(left);
		const later = evolve({ ...inputOf(change, "evolve"), recorded: first.record });
		expect(lands(later)).toBe(lands(decide(change)));
	});
});

function inputOf(change: Case, policy: SchemaPolicy): EvolveInput {
	const key = change.key ?? ["id"];
	const columns = new Map([ID, ...change.before].map((each) => [each.target, each]));
	return {
		policy,
		onTypeChange: "resnapshot",
		current: [ID, ...change.now],
		key,
		recorded: null,
		existing: { column: (name) => columns.get(name) ?? null },
		fold: (name) => name,
		mode: "incremental",
		updates: key.length > 0,
		noSecondReading: null,
		needed: key,
	};
}

describe("what a table without a key, or another mode, makes of it", () => {
	const added = { before: [], now: [column("b int32", { defaultSql: "7" })] };
	const note = (evolution: Evolution) => evolution.decisions[0]!.note;

	test("rows without a key keep NULL, or get the constant default, and the cure is named", () => {
		const evolution = decide({ ...added, key: [], keyBefore: [] });
		expect(told(evolution)).toBe("b added: add");
		expect(lands(evolution)).toBe("b → b int32 filled");
		expect(note(evolution)).toMatch(/the default 7.*--full-refresh/);
		expect(evolution.added).toEqual(["b"]);
		const bare = decide({ before: [], now: [column("b int32")], key: [], keyBefore: [] });
		expect(note(bare)).toMatch(/have NULL.*--full-refresh/);
	});

	test("rows that keep their first values are not read again", () => {
		expect(told(decide({ ...added, more: { updates: false } }))).toBe("b added: add");
	});

	test("a full load needs nothing read again, and fills nothing", () => {
		const evolution = decide({ ...added, more: { mode: "full", updates: false } });
		expect(lands(evolution)).toBe("b → b int32");
		expect(note(evolution)).toBe("every row is loaded anew with it");
	});

	test("what can't be read again is not, and names a backfill", () => {
		const more = { mode: "interval", noSecondReading: "it has no cursor" } as const;
		const evolution = decide({ ...added, more });
		expect(told(evolution)).toBe("b added: add");
		expect(note(evolution)).toMatch(/no cursor; `headrace backfill`/);
		const retyped = decide({ before: [B], now: [NUMBER_TEXT], more });
		expect(told(retyped)).toBe("b retyped: stop, anew");
	});

	test("a default of NULL fills nothing", () => {
		expect(lands(decide({ before: [], now: [column("b int32", { defaultSql: "NULL" })] }))).toBe("b → b int32");
	});
});

describe("names", () => {
	test("a name that is taken is not renamed to: the old column stays, all rows are read again", () => {
		const evolution = decide({ before: [A], now: [{ ...A, name: "b", target: "b" }], table: { b: "int32" } });
		expect(told(evolution)).toBe("b renamed: add, again");
		expect(lands(evolution)).toBe("b → b int32");
		expect(evolution.kept.map((each) => each.target)).toEqual(["a"]);
	});

	test("columns that swapped their names are read again, or built anew without a key", () => {
		const other = column("b int32", { identity: "9.3" });
		const swapped = {
			before: [A, other],
			now: [
				{ ...A, name: "b", target: "b" },
				{ ...other, name: "a", target: "a" },
			],
		};
		expect(told(decide(swapped))).toBe("b renamed: add, a renamed: add, again");
		expect(decide({ ...swapped, key: [], keyBefore: [] }).reading).toBe("anew");
	});

	test("another column under an old name is told as what it is", () => {
		const evolution = decide({ before: [A], now: [{ ...A, identity: "9.4" }] });
		expect(told(evolution)).toBe("a added: add, a dropped: keep, again");
		expect(evolution.decisions[0]!.note).toMatch(/mixes two kinds of values/);
		expect(evolution.kept).toEqual([]);
	});

	test("a table that was made anew in the source has other identities, and the same columns", () => {
		expect(told(decide({ before: [A], now: [{ ...A, identity: "10.2" }] }))).toBe("");
	});

	test("a dropped column that comes back takes its old place, with the rows from before read again", () => {
		const evolution = decide({ before: [B], now: [B], recorded: { b: { dropped: true } } });
		expect(told(evolution)).toBe("b added: add, again");
		expect(evolution.kept).toEqual([]);
	});

	test("a column of a type that the table's old one can't hold makes the table anew", () => {
		const evolution = decide({ before: [B], now: [NUMBER_TEXT], recorded: { b: { dropped: true } } });
		expect(evolution.reading).toBe("anew");
	});

	test("another name in the destination is a rename, whatever the policy", () => {
		for (const policy of ["evolve", "freeze", "discard", "fail"] as const) {
			const evolution = decide({ before: [OLD_A], now: [{ ...OLD_A, target: "z" }], policy });
			expect(lands(evolution)).toBe("a → z int32 from a");
		}
	});

	test("of two columns that went the one in the same place is the likelier", () => {
		const went = [column("x int32", { ordinal: 2 }), column("y int32", { ordinal: 3 })];
		const evolution = decide({ before: went, now: [column("z int32", { ordinal: 3 })] });
		expect(evolution.decisions[0]!.note).toMatch(/renamed_from: y /);
	});

	test("a column that someone took out of the table comes again", () => {
		const evolution = decide({ before: [B], now: [B], table: { b: null } });
		expect(told(evolution)).toBe("b added: add, again");
	});
});

describe("types", () => {
	const retyped = { before: [B], now: [NUMBER_TEXT] };

	test("to_string: the table is built anew with text, and stays so", () => {
		const more = { onTypeChange: "to_string" } as const;
		const first = decide({ before: [B], now: [column("b boolean")], more });
		expect(told(first)).toBe("b retyped: convert, anew");
		expect(lands(first)).toBe("b → b text");
		const record = first.record.find((each) => each.name === "b")!;
		const again = { recorded: { b: record }, table: { b: "text" }, more };
		expect(told(decide({ before: [B], now: [column("b boolean")], ...again }))).toBe("");
		const back = decide({ before: [B], now: [B], ...again });
		expect(told(back)).toBe("b retyped: keep wide");
		expect(lands(back)).toBe("b → b text");
	});

	test("variant_column: new values get a column of their own, old ones stay", () => {
		const more = { onTypeChange: "variant_column" } as const;
		const first = decide({ ...retyped, more });
		expect(told(first)).toBe("b retyped: convert");
		expect(lands(first)).toBe("b → b__v2 text");
		expect(first.kept.map((each) => each.target)).toEqual(["b"]);
		expect(first.added).toEqual(["b__v2"]);
		const record = Object.fromEntries(first.record.filter((each) => !each.dropped).map((each) => [each.name, each]));
		expect(record["b"]).toMatchObject({ target: "b__v2", variant: 2 });
		const second = decide({ ...retyped, now: [column("b boolean")], recorded: record, more });
		expect(lands(second)).toBe("b → b__v3 boolean");
	});

	test("variant_column passes over names that are taken, and is none for a key", () => {
		const more = { onTypeChange: "variant_column" } as const;
		expect(lands(decide({ ...retyped, more, table: { b__v2: "int32" } }))).toBe("b → b__v3 text");
		expect(told(decide({ ...retyped, more: { ...more, needed: ["b"] } }))).toBe("b retyped: convert, anew");
	});

	test("a fix makes a type of text in place; a full load lands so", () => {
		const fixed = { before: [NUMBER_TEXT], now: [column("b decimal(10,2)", { sourceType: "text", fixed: true })] };
		const evolution = decide(fixed);
		expect(told(evolution)).toBe("b fixed: fix");
		expect(evolution.fixes).toEqual([{ column: "b", type: type("decimal(10,2)") }]);
		expect(decide({ ...fixed, more: { mode: "full" } }).fixes).toEqual([]);
		for (const policy of ["freeze", "discard", "fail"] as const)
			expect(told(decide({ ...fixed, policy }))).toBe("b fixed: fix");
		const record = evolution.record.find((each) => each.name === "b")!;
		expect(told(decide({ ...fixed, recorded: { b: record }, table: { b: "decimal(10,2)" } }))).toBe("");
	});

	test("a table that another hand widened keeps its type", () => {
		const evolution = decide({ before: [B], now: [B], table: { b: "int64" } });
		expect(told(evolution)).toBe("");
		expect(lands(evolution)).toBe("b → b int64");
	});

	test.each([
		["int32", "int64", "widened"],
		["uint32", "int64", "widened"],
		["int8", "decimal(5,2)", "widened"],
		["decimal(5,2)", "decimal(10,2)", "widened"],
		["decimal(5,2)", "decimal(10,4)", "widened"],
		["decimal(5,2)", "decimal(6,4)", "retyped"],
		["float32", "float64", "widened"],
		["int32", "float64", "widened"],
		["int64", "float64", "retyped"],
		["date", "timestamp", "widened"],
		["timestamp", "date", "narrowed"],
		["timestamp", "timestamptz", "retyped"],
		["json", "text", "widened"],
		["int64", "uint64", "retyped"],
		["uint64", "decimal(20,0)", "widened"],
		["decimal(2,0)", "int8", "widened"],
		["decimal(3,0)", "int8", "narrowed"],
		["decimal(4,2)", "int8", "retyped"],
		["text", "binary", "retyped"],
	])("%s → %s is %s", (from, to, kind) => {
		const evolution = decide({ before: [column(`b ${from}`)], now: [column(`b ${to}`)] });
		expect(evolution.decisions[0]!.kind).toBe(kind);
	});
});

describe("a table that earlier versions made, without a record", () => {
	const without = (change: Case, policy: SchemaPolicy = "evolve") =>
		evolve({ ...inputOf(change, policy), recorded: null });

	test("what fits is recorded and not told", () => {
		const evolution = without({ before: [B], now: [B] }, "fail");
		expect(told(evolution)).toBe("");
		expect(evolution.record.map((each) => each.name)).toEqual(["id", "b"]);
	});

	test("columns that it lacks are added, types that it can't hold are converted", () => {
		expect(told(without({ before: [], now: [B] }))).toBe("b added: add, again");
		expect(told(without({ before: [B], now: [WIDE] }))).toBe("b widened: alter");
		expect(told(without({ before: [B], now: [NUMBER_TEXT] }))).toBe("b retyped: convert, anew");
	});

	test("columns that only the table has are nobody's business", () => {
		expect(told(without({ before: [B], now: [] }, "fail"))).toBe("");
	});
});

test("a column that the table can't do without stops it when it would not land", () => {
	const renamed = { before: [A], now: [{ ...A, name: "b", target: "b" }], key: ["b"], keyBefore: ["a"] };
	expect(decide({ ...renamed, policy: "discard" }).decisions.map((each) => each.does)).toContain("stop");
	expect(decide({ ...renamed, policy: "freeze" }).decisions.map((each) => each.does)).toEqual(["alias"]);
	expect(decide(renamed).decisions.map((each) => each.does)).toEqual(["rename"]);
});
