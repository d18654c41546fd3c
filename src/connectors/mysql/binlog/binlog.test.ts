import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { inetText } from "./addresses.ts";
import { serverIdOf } from "./dump.ts";
import { EventType, hasShortTableId, readEvent, readFormatDescription } from "./event.ts";
import { parseGtids } from "./gtid.ts";
import { PacketCutter } from "./packets.ts";
import { compareFiles, decodeLogPosition, encodeLogPosition, type LogPosition } from "./position.ts";
import { readStatement } from "./statement.ts";

describe("positions", () => {
	const position: fc.Arbitrary<LogPosition> = fc.record(
		{
			file: fc.string({ minLength: 1, maxLength: 20 }).map((name) => `${name.replace(/[=:]/g, "_")}bin.000001`),
			offset: fc.integer({ min: 4, max: 2 ** 40 }),
			gtid: fc.constantFrom("0-1-42", "0-1-42,1-2-7", "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7"),
			server: fc.constantFrom("1", "3e11fa47-71ca-11e1-9e33-c80aa9429562"),
			created: fc.integer({ min: 1, max: 2 ** 31 }),
			last: fc.record({
				start: fc.integer({ min: 4, max: 2 ** 40 }),
				size: fc.integer({ min: 19, max: 2 ** 30 }),
				crc32: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
			}),
			prepared: fc.record({ file: fc.constant("my bin.000001"), offset: fc.integer({ min: 4, max: 2 ** 40 }) }),
		},
		{ requiredKeys: ["file", "offset"] },
	);

	test("law: what was written is read again", () => {
		fc.assert(
			fc.property(position, (made) => {
				expect(decodeLogPosition(encodeLogPosition(made))).toEqual(made);
			}),
		);
	});

	test("law: whatever people write is a position or E_INVALID_VALUE", () => {
		fc.assert(
			fc.property(fc.string(), (text) => {
				try {
					decodeLogPosition(text);
				} catch (error) {
					expect(error).toMatchObject({ code: "E_INVALID_VALUE" });
				}
			}),
		);
	});

	test("files go by number", () => {
		expect(compareFiles("bin.999999", "bin.1000000")).toBeLessThan(0);
		expect(compareFiles("bin.000002", "bin.000010")).toBeLessThan(0);
		expect(compareFiles("bin.000002", "bin.000002")).toBe(0);
	});
});

describe("sets of GTIDs", () => {
	const uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

	test("law: MySQL's set holds what was added, in whatever order", () => {
		fc.assert(
			fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (numbers) => {
				let set = parseGtids("", "mysql");
				for (const number of numbers) set = set.add(`${uuid}:${number}`);
				for (let number = 1; number <= 41; number++)
					expect(set.contains(parseGtids(`${uuid}:${number}`, "mysql"))).toBe(numbers.includes(number));
				expect(parseGtids(set.toString(), "mysql").toString()).toBe(set.toString());
				const ranges = set.toString().split(":").length - 1;
				const gaps = numbers.filter((number) => !numbers.includes(number - 1)).length;
				expect(ranges).toBe(gaps);
			}),
		);
	});

	test("tags and servers have sets of their own", () => {
		const set = parseGtids(`${uuid}:1-3:audit:1-2:4`, "mysql").add(`${uuid}:audit:3`);
		expect(set.toString()).toBe(`${uuid}:1-3,${uuid}:audit:1-4`);
		expect(set.contains(parseGtids(`${uuid}:4`, "mysql"))).toBe(false);
	});

	test("MariaDB's last of each domain", () => {
		const set = parseGtids("0-1-42,1-2-7", "mariadb").add("0-3-43");
		expect(set.toString()).toBe("0-3-43,1-2-7");
		expect(set.contains(parseGtids("0-1-42", "mariadb"))).toBe(true);
		expect(set.contains(parseGtids("2-1-1", "mariadb"))).toBe(false);
	});
});

test("law: packets are the same in whatever pieces they come", () => {
	const payloads = fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 8 });
	fc.assert(
		fc.property(payloads, fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }), (bodies, sizes) => {
			const packed = bodies.map((body) => {
				const header = Buffer.alloc(4);
				header.writeUIntLE(body.length, 0, 3);
				return Buffer.concat([header, body]);
			});
			const sent = Buffer.concat(packed);
			const cutter = new PacketCutter();
			const got: string[] = [];
			for (let at = 0, turn = 0; at < sent.length; turn++) {
				const size = sizes[turn % sizes.length]!;
				cutter.feed(sent.subarray(at, at + size));
				at += size;
				while (cutter.next()) got.push(cutter.bytes.toString("hex", cutter.start, cutter.end));
			}
			expect(got).toEqual(bodies.map((body) => Buffer.from(body).toString("hex")));
		}),
	);
});

test("an event of over 16 MiB comes in parts", () => {
	const cutter = new PacketCutter();
	const part = Buffer.alloc(4 + 0xffffff, 1);
	part.writeUIntLE(0xffffff, 0, 3);
	const rest = Buffer.from([2, 0, 0, 1, 7, 7]);
	cutter.feed(part);
	expect(cutter.next()).toBe(false);
	cutter.feed(rest);
	expect(cutter.next()).toBe(true);
	expect(cutter.end - cutter.start).toBe(0xffffff + 2);
	expect(cutter.bytes[cutter.end - 1]).toBe(7);
});

describe("statements", () => {
	const t = { schema: "shop", name: "t" };
	test.each([
		["BEGIN", { kind: "begin" }],
		["truncate t", { kind: "truncate", table: t }],
		["/* x */ TRUNCATE /*!40000 TABLE */ `sh``op`.`t`", { kind: "truncate", table: { schema: "sh`op", name: "t" } }],
		[
			"drop table if exists `t`, other.u /* generated by server */",
			{ kind: "drop", tables: [t, { schema: "other", name: "u" }] },
		],
		["drop temporary table t", { kind: "other" }],
		["drop database `x`", { kind: "drop-schema", schema: "x" }],
		[
			"rename table t to _t_del, _t_gho to t",
			{
				kind: "rename",
				pairs: [
					[t, { ...t, name: "_t_del" }],
					[{ ...t, name: "_t_gho" }, t],
				],
			},
		],
		["alter table t add index (a)", { kind: "alter", table: t, rereads: false, onlyAdds: true }],
		["alter table t add column a int", { kind: "alter", table: t, rereads: false, onlyAdds: true }],
		["alter table t add a int default null", { kind: "alter", table: t, rereads: false, onlyAdds: true }],
		["alter table t add column a int not null", { kind: "alter", table: t, rereads: true, onlyAdds: true }],
		["alter table t add (a int, b int default 5)", { kind: "alter", table: t, rereads: true, onlyAdds: true }],
		["alter table t modify a bigint", { kind: "alter", table: t, rereads: true, onlyAdds: false }],
		["alter table t convert to character set utf8mb4", { kind: "alter", table: t, rereads: true, onlyAdds: false }],
		["alter table t truncate partition p1", { kind: "alter", table: t, rereads: true, onlyAdds: false }],
		["alter table t drop column a, rename column b to c", { kind: "alter", table: t, rereads: true, onlyAdds: false }],
		[
			"alter table t rename to u",
			{ kind: "alter", table: t, rereads: false, onlyAdds: true, renamed: { ...t, name: "u" } },
		],
		["alter table t comment 'default not null'", { kind: "alter", table: t, rereads: false, onlyAdds: true }],
		["create or replace table t (a int)", { kind: "create", table: t, replaces: true, selects: false }],
		["create table t select * from u", { kind: "create", table: t, replaces: false, selects: true }],
		["create temporary table t (a int)", { kind: "other" }],
		["insert into t values ('update x')", { kind: "rows", table: t, schemas: ["shop"] }],
		["update other.u set a = 1", { kind: "rows", table: { schema: "other", name: "u" }, schemas: ["shop", "other"] }],
		["delete a from a join b", { kind: "rows", schemas: ["shop"] }],
		["-- update\ngrant select on t to x", { kind: "other" }],
		["ROLLBACK TO SAVEPOINT a", { kind: "savepoint-rollback" }],
		["XA COMMIT X'61',X'',1", { kind: "xa", action: "commit", id: "1:61:" }],
	])("%s", (sql, expected) => {
		expect(readStatement(sql, "shop", 0)).toMatchObject(expected);
	});

	const columns = (added: string[], dropped: string[] = [], renamed: [string, string][] = [], isSure = true) => ({
		added,
		dropped,
		renamed,
		isSure,
	});
	test.each<readonly [string, ReturnType<typeof columns> | null]>([
		["add index (a), drop key b, rename index c to d, add constraint e unique (f)", columns([])],
		["add a int, algorithm = instant, lock=none", columns(["a"])],
		["add column `add` decimal(10,2) not null default (1, 2) comment 'x, y' after b;", columns(["add"])],
		["add (a int, b enum('x,y') unique key)", columns(["a", "b"])],
		["drop a, drop column b cascade, rename column c to a", columns([], ["a", "b"], [["c", "a"]])],
		["alter a set default 5, engine=innodb, force", columns([])],
		["alter a drop default, add b int", columns(["b"])],
		["drop column if exists a, add if not exists b int", columns(["b"], ["a"], [], false)],
		...[
			"add a int primary key",
			"add a int key",
			"add a serial",
			"add primary key (a)",
			"add constraint c primary key (a)",
			"drop primary key",
			"drop constraint `PRIMARY`",
			"add (a int, index (a))",
			"modify a bigint",
			"change a b int",
			"convert to character set utf8mb4",
			"rename to u",
			"rename u",
			"add a int partition by hash (a)",
			"add a int,",
			"add a int)",
			"engine = innodb row_format = compact",
			"wait 5 add a int",
			"add a",
			"order by a",
			"add system versioning",
			"",
		].map((text) => [text, null] as const),
	])("ALTER TABLE t %s: what it does to columns", (text, expected) => {
		const statement = readStatement(`alter table t ${text}`, "shop", 0);
		expect(statement.kind === "alter" && statement.columns).toEqual(expected);
	});

	test("the rest of a statement that is too long is not known", () => {
		const statement = readStatement(`alter table t ${"add a int, ".repeat(6000)} drop b`, "shop", 0);
		expect(statement.kind === "alter" && statement.columns).toBe(null);
	});

	test("with ANSI_QUOTES a double quote names, else it is a string", () => {
		expect(readStatement('truncate "t"', "shop", 4)).toEqual({ kind: "truncate", table: t });
		expect(readStatement('truncate "t"', "shop", 0)).toEqual({ kind: "other" });
	});

	test("law: any text is told in time, and never throws", () => {
		fc.assert(
			fc.property(
				fc.string({ maxLength: 500 }),
				fc.boolean(),
				(sql, ansi) => void readStatement(sql, "shop", ansi ? 4 : 0),
			),
		);
	});
});

test("server ids are derived, apart from each other and from those that people give", () => {
	const ids = new Set(Array.from({ length: 100 }, (_, n) => serverIdOf(`pipeline ${n}`, "host")));
	expect(ids.size).toBe(100);
	expect(serverIdOf("a", "host")).toBe(serverIdOf("a", "host"));
	expect(serverIdOf("a", "host")).not.toBe(serverIdOf("a", "other"));
	expect(Math.min(...ids)).toBeGreaterThan(1 << 24);
});

test.each([
	["00000000000000000000000000000000", "::"],
	["00000000000000000000000000000001", "::1"],
	["00000000000000000000ffff01020304", "::ffff:1.2.3.4"],
	["20010db800000000ff00004283290000", "2001:db8::ff00:42:8329:0"],
	["01020304", "1.2.3.4"],
])("the address %s is %s", (hex, shown) => {
	expect(inetText(Buffer.from(hex, "hex"))).toBe(shown);
});

test("a file's format stays as it was when the memory that it came in is used again", () => {
	const bytes = Buffer.alloc(19 + 2 + 50 + 4 + 1 + 40 + 1 + 4);
	bytes.writeUInt32LE(bytes.length, 9);
	bytes[4] = EventType.formatDescription;
	bytes[19] = 4;
	bytes[19 + 56] = 19;
	bytes.fill(8, 19 + 57, 19 + 57 + 40);
	const format = readFormatDescription(readEvent(bytes, 0, bytes.length, false));
	bytes.fill(6);
	expect(hasShortTableId(format, EventType.tableMap)).toBe(false);
});
