import { zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Charsets } from "../../src/connectors/mysql/binlog/charsets.ts";
import { EventType } from "../../src/connectors/mysql/binlog/event.ts";
import { FollowedTables } from "../../src/connectors/mysql/binlog/followed-tables.ts";
import { jsonText } from "../../src/connectors/mysql/binlog/json-binary.ts";
import { LogReader } from "../../src/connectors/mysql/binlog/log-reader.ts";
import { nativeOfCatalog } from "../../src/connectors/mysql/native.ts";
import { sourceColumn } from "../../src/connectors/mysql/types.ts";
import { type ChangeEvent, DEFAULT_TYPE_POLICY, HeadraceError, type SourceTable } from "../../src/core/index.ts";
import { brief, rowsOfEvent } from "./log-support.ts";
import * as made from "./mysql-log-events.ts";

const COLUMNS = [
	["id", "int", "int(11)", null],
	["v", "varchar", "varchar(100)", "utf8mb4_general_ci"],
	["j", "json", "json", null],
] as const;

const catalogColumns = COLUMNS.map(([name, dataType, columnType, collation]) => ({
	...{ name, dataType, columnType, collation, nullable: true, precision: null, scale: null, isJson: false },
	...{ defaultText: null, extra: "", readable: true },
}));
const TABLE: SourceTable = {
	name: { schema: "shop", name: "t" },
	kind: "table",
	columns: catalogColumns.map((column) => sourceColumn(nativeOfCatalog(column)!, DEFAULT_TYPE_POLICY)),
	primaryKey: ["id"],
	warnings: [],
};
const CATALOG = {
	...{ name: TABLE.name, isView: false, columns: catalogColumns, primaryKey: ["id"] },
	...{ estimatedRows: null, warnings: [] },
};

async function charsets(): Promise<Charsets> {
	const rows = async (sql: string) => (sql.includes("APPLICABILITY") ? [] : [["45", "utf8mb4"]]);
	const read = await Charsets.read({ rows } as never);
	await read.load({ rows } as never, "utf8mb4");
	return read;
}

interface Reading {
	readonly reader: LogReader;
	readonly emitted: ChangeEvent[];
	feed(...events: readonly Buffer[]): Promise<void>;
}

async function reading(from = "mysql-bin.000001"): Promise<Reading> {
	const emitted: ChangeEvent[] = [];
	const emit = (event: ChangeEvent) => {
		emitted.push(event);
	};
	const dictionary = {
		charsets: await charsets(),
		describe: async () => ({
			tables: [{ table: TABLE, catalog: CATALOG }],
			at: { file: "mysql-bin.000001", offset: 4 },
		}),
		loadCharset: async () => undefined,
		end: async () => ({ file: "mysql-bin.000001", offset: 4 }),
		statements: async () => [],
	};
	const tables = await FollowedTables.of([TABLE], () => DEFAULT_TYPE_POLICY, dictionary, {
		...{ folds: false, before: "all", emit, knownUntil: () => null },
	});
	const reader = new LogReader({
		...{ flavour: "mysql", tables, emit, checksums: true, server: made.SERVER_UUID },
		from: { file: from, offset: 4 },
		flush: { seconds: 3600, rows: 1e9, bytes: 1e12 },
	});
	return {
		reader,
		emitted,
		async feed(...events) {
			for (const bytes of events) {
				const steps = reader.handle(bytes, 0, bytes.length);
				if (steps !== undefined) for await (const _step of steps);
			}
		},
	};
}

function briefly(emitted: readonly ChangeEvent[]): string[] {
	return emitted.flatMap((event) => (event.kind === "rows" ? brief(rowsOfEvent(event)) : [event.kind]));
}

async function codeOf(work: Promise<unknown>): Promise<string> {
	const error: unknown = await work.then(
		() => undefined,
		(thrown: unknown) => thrown,
	);
	if (!(error instanceof HeadraceError)) throw new Error(`not a Headrace error: ${String(error)}`, { cause: error });
	return error.code;
}

const inner = { checksum: false };

describe("events of servers that are not at hand", () => {
	test("rows with extra data, and a transaction that is compressed as a whole", async () => {
		const log = await reading();
		const json = made.binaryJson({ a: 1 });
		await log.feed(
			made.formatDescription(),
			made.gtid(5n),
			made.query("BEGIN"),
			made.tableMap(9, "shop", "t"),
			made.rows(EventType.writeRows, 9, [made.image(1, "one", json)], Buffer.from([0, 1, 2, 3])),
			made.xid(),
			made.gtid(6n),
			made.payload(
				[
					made.query("BEGIN", "shop", inner),
					made.tableMap(9, "shop", "t", inner),
					made.rows(EventType.updateRows, 9, [made.image(1, "one", json), made.image(1, null, json)], undefined, inner),
					made.tableMap(10, "shop", "other", inner),
					made.rows(EventType.writeRows, 10, [made.image(7, "x", null)], undefined, inner),
					made.xid(inner),
				],
				zstdCompressSync,
			),
		);
		log.reader.boundary();
		const boundary = log.emitted.find(({ kind }) => kind === "boundary");
		expect(briefly(log.emitted)).toEqual([
			'insert 1,one,{"a": 1}',
			'before 1,one,{"a": 1}',
			'update 1,,{"a": 1}',
			"boundary",
		]);
		expect(boundary).toMatchObject({
			transactions: [{ id: `${made.SERVER_UUID}:5` }, { id: `${made.SERVER_UUID}:6` }],
		});
	});

	test("a compressed transaction that inflates to more than it says is E_BOMB, a broken one E_CORRUPT_EVENT", async () => {
		const events = [made.query("BEGIN", "shop", inner), made.xid(inner)];
		const bomb = await reading();
		await bomb.feed(made.formatDescription());
		expect(await codeOf(bomb.feed(made.payload(events, zstdCompressSync, 20)))).toBe("E_BOMB");
		expect(await codeOf(bomb.feed(made.payload(events, () => Buffer.from("no frame at all"))))).toBe("E_CORRUPT_EVENT");
	});

	test("JSON in parts stops by name for a table that is read, and only for that", async () => {
		const log = await reading();
		await log.feed(made.formatDescription(), made.tableMap(9, "shop", "t"), made.tableMap(10, "shop", "other"));
		await log.feed(made.rows(EventType.partialUpdateRows, 10, []));
		expect(await codeOf(log.feed(made.rows(EventType.partialUpdateRows, 9, [])))).toBe("E_LOG_SETTINGS");
	});

	test("a GTID with a tag", async () => {
		const log = await reading();
		const number = (value: number) => made.u8(value << 1);
		const uuid = Buffer.from(made.SERVER_UUID.replaceAll("-", ""), "hex");
		// Bytes over 127 take two: 14 bits behind the mark 01.
		const byte = (value: number) => (value < 128 ? number(value) : made.u16((value << 2) | 1));
		const body = Buffer.concat([
			...[number(1), number(60), number(0), number(0), number(1), number(1)],
			...[...uuid].map(byte),
			...[number(2), number(42 * 2), number(3), number(5), made.text("audit")],
		]);
		await log.feed(
			made.formatDescription(),
			made.event(EventType.gtidTagged, body),
			made.query("BEGIN"),
			made.tableMap(9, "shop", "t"),
			made.rows(EventType.writeRows, 9, [made.image(1, "x", null)]),
			made.xid(),
		);
		log.reader.boundary();
		expect(log.emitted.at(-1)).toMatchObject({ transactions: [{ id: `${made.SERVER_UUID}:audit:42` }] });
	});

	test("an incident, and rows of a table that was not described", async () => {
		const log = await reading();
		await log.feed(made.formatDescription());
		expect(await codeOf(log.feed(made.event(EventType.incident, made.u16(1))))).toBe("E_INCIDENT");
		expect(await codeOf(log.feed(made.rows(EventType.writeRows, 99, [made.image(1, "x", null)])))).toBe(
			"E_CORRUPT_EVENT",
		);
	});

	test("rows that tell no column at all end at once", async () => {
		const log = await reading();
		await log.feed(made.formatDescription(), made.tableMap(9, "shop", "t"));
		const rows = made.rows(EventType.writeRows, 9, [made.image(1, "x", null)], undefined, inner);
		const body = Buffer.from(rows.subarray(19));
		// Behind the table's id, flags, no extra data and the number of columns: which of them are told.
		expect([...body.subarray(10, 12)]).toEqual([3, 7]);
		body[11] = 0;
		expect(await codeOf(log.feed(made.event(EventType.writeRows, body)))).toBe("E_CORRUPT_EVENT");
	});

	test("an offset beyond 32 bits is counted on", async () => {
		const log = await reading();
		await log.feed(made.formatDescription());
		await log.feed(made.query("BEGIN", "shop", { end: 4_294_967_200 }), made.xid({ end: 60 }));
		expect(log.reader.place.offset).toBe(4_294_967_296 + 60);
	});
});

describe("binary JSON", () => {
	const print = (value: unknown): string => {
		if (Array.isArray(value)) return `[${value.map(print).join(", ")}]`;
		if (typeof value !== "object" || value === null) {
			if (typeof value !== "number") return JSON.stringify(value);
			return Number.isInteger(value) && !Object.is(value, -0) ? String(value) : "";
		}
		return `{${Object.entries(value)
			.map(([key, member]) => `${JSON.stringify(key)}: ${print(member)}`)
			.join(", ")}}`;
	};

	test("law: it prints as the server prints it", () => {
		const leaf = fc.oneof(fc.string({ unit: "grapheme" }), fc.maxSafeInteger(), fc.boolean(), fc.constant(null));
		const { tree } = fc.letrec((tie) => ({
			tree: fc.oneof(
				{ maxDepth: 4 },
				leaf,
				fc.array(tie("tree"), { maxLength: 5 }),
				fc.dictionary(fc.string({ unit: "grapheme", maxLength: 20 }), tie("tree"), {
					maxKeys: 5,
					noNullPrototype: true,
				}),
			),
		}));
		fc.assert(
			fc.property(tree, (value) => {
				const bytes = made.binaryJson(value);
				expect(jsonText(bytes, 0, bytes.length)).toBe(print(value));
			}),
		);
	});

	test("doubles, decimals and times print as the server prints them", () => {
		const printed = (bytes: readonly number[]) => jsonText(Buffer.from(bytes), 0, bytes.length);
		const double = (value: number) => {
			const bytes = made.binaryJson(value);
			return jsonText(bytes, 0, bytes.length);
		};
		expect([0.5, -0, 1e22, 1.5e-17].map(double)).toEqual(["0.5", "-0.0", "1e22", "1.5e-17"]);
		expect(printed([15, 246, 5, 4, 2, 0x8c, 0x22, 0x00])).toBe("12.34");
		// 2015-01-15 23:24:25.000012, as (((2015 * 13 + 1) << 5 | 15) << 17 | 23 << 12 | 24 << 6 | 25) << 24 | 12.
		const packed = made.u64(
			((((BigInt(2015 * 13 + 1) << 5n) | 15n) << 17n) | (23n << 12n) | (24n << 6n) | 25n) * 16777216n + 12n,
		);
		expect(printed([15, 12, 8, ...packed])).toBe('"2015-01-15 23:24:25.000012"');
		expect(printed([15, 10, 8, ...packed])).toBe('"2015-01-15"');
		expect(printed([15, 252, 3, 1, 2, 3])).toBe('"base64:type252:AQID"');
	});

	test("law: broken documents are E_CORRUPT_EVENT and end soon", () => {
		const document = made.binaryJson({ a: [1, "two", { b: null }], c: "x".repeat(50) });
		fc.assert(
			fc.property(
				fc.array(fc.tuple(fc.nat(document.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }),
				(flips) => {
					const broken = Buffer.from(document);
					for (const [at, value] of flips) broken[at] = value;
					try {
						jsonText(broken, 0, broken.length);
					} catch (error) {
						expect(error).toMatchObject({ code: "E_CORRUPT_EVENT" });
					}
				},
			),
		);
	});
});

test("law: whatever a hostile server sends is a named error, or rows", async () => {
	const events = [
		made.tableMap(9, "shop", "t", inner),
		made.rows(EventType.writeRows, 9, [made.image(1, "one", made.binaryJson([1, { a: "b" }]))], undefined, inner),
		made.rows(EventType.updateRows, 9, [made.image(1, "a", null), made.image(2, null, null)], undefined, inner),
		made.query("alter table t add column z int", "shop", inner),
		made.payload([made.query("BEGIN", "shop", inner), made.xid(inner)], zstdCompressSync).subarray(0, -4),
	];
	const flips = fc.array(fc.tuple(fc.nat(4), fc.nat(400), fc.nat(255)), { minLength: 1, maxLength: 5 });
	const cuts = fc.option(fc.tuple(fc.nat(4), fc.nat(60)), { nil: undefined });
	await fc.assert(
		fc.asyncProperty(flips, cuts, async (changed, cut) => {
			const log = await reading();
			await log.feed(made.formatDescription());
			for (const [index, whole] of events.entries()) {
				let body = Buffer.from(whole.subarray(19));
				for (const [which, at, value] of changed) if (which === index && at < body.length) body[at] = value;
				if (cut?.[0] === index) body = body.subarray(0, Math.max(0, body.length - cut[1]));
				try {
					await log.feed(made.event(whole[4]!, body));
					log.reader.boundary();
				} catch (error) {
					if (!(error instanceof HeadraceError)) throw error;
					expect(error.code).not.toBe("E_INTERNAL");
				}
			}
			for (const event of log.emitted) if (event.kind === "rows") event.batch.release();
		}),
		{ numRuns: 400 },
	);
}, 30_000);
