import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DEFAULT_TYPE_POLICY, type Source, type SourceTable, type TypePolicy } from "../../src/core/index.ts";
import { MYSQL_CASES } from "../fidelity/mysql-cases.ts";
import { freshDatabase, sharedServer, type TestDatabase } from "../support/shared.ts";
import { missing } from "../support/start.ts";
import { follow, logOf } from "./log-support.ts";
import { MYSQL_SERVERS, openSource, readAll } from "./mysql-support.ts";
import { TYPE_CASES } from "./mysql-type-cases.ts";

const MODES: readonly TypePolicy[] = [
	DEFAULT_TYPE_POLICY,
	{ ...DEFAULT_TYPE_POLICY, mode: "lenient" },
	{ ...DEFAULT_TYPE_POLICY, mode: "string", zeroDate: "string" },
];

/** What the type cases of the snapshot do not have. */
const MORE: readonly { ddl: string; values: readonly string[]; only?: string }[] = [
	{ ddl: "int(6) unsigned zerofill", values: ["7", "1234567"] },
	{ ddl: "decimal(8,3) unsigned zerofill", values: ["1.5", "12345.678"] },
	{ ddl: "varchar(60) character set sjis", values: ["'漢字テスト'", "_sjis 0xB1B2", "'a\\\\b'"] },
	{ ddl: "varchar(60) character set cp932", values: ["'漢字～①'", "_cp932 0x8160"] },
	{ ddl: "varchar(60) character set big5", values: ["'漢字'"] },
	{ ddl: "varchar(60) character set euckr", values: ["'한국어'"] },
	{ ddl: "varchar(60) character set ujis", values: ["'漢字'", "_ujis 0x8FB0A1"] },
	{ ddl: "varchar(60) character set koi8r", values: ["'привет'"] },
	{ ddl: "varchar(60) character set cp1250", values: ["'žluťoučký'"] },
	{ ddl: "varchar(60) character set ucs2", values: ["'é漢'"] },
	{ ddl: "varchar(60) character set utf32", values: ["'é漢😀'"] },
	{ ddl: "text character set latin1", values: ["'é€ÿ'", "_latin1 0x818D8F909D"] },
	{ ddl: "char(5) character set latin1", values: ["'é'", "'abcde'"] },
	{ ddl: "enum('é','z') character set latin1", values: ["'é'", "'z'"] },
	{ ddl: "set('é','z') character set latin1", values: ["'é,z'", "''"] },
	{ ddl: "char(100) character set utf8mb4", values: ["repeat('é', 100)", "'x'"] },
	{ ddl: "binary(200)", values: ["'ab'", "''"] },
	{ ddl: "double", values: ["1e15", "1e16", "123456789012345678", "1e-14", "1e-15", "1.5e300", "-0.0", "0.1e-5"] },
	{ ddl: "decimal(20,9)", values: ["-12345678901.123456789", "0.000000001", "99999999999.999999999"] },
	{ ddl: "decimal(30,30)", values: ["0.1", "-0.000000000000000000000000000001"] },
	{ ddl: "point", values: ["point(1, -2.5)"] },
	{ ddl: "time(1)", values: ["'-00:00:00.1'", "'-01:00:00.9'", "'838:59:59'"] },
	{ ddl: "time(3)", values: ["'-00:00:01.001'", "'-800:59:59.999'"] },
	{ ddl: "time(4)", values: ["'-00:00:00.0001'"] },
	{ ddl: "varchar(200) compressed", values: ["repeat('é', 150)", "'short'", "''"], only: "mariadb" },
	{ ddl: "longblob compressed", values: ["repeat(0x00ff, 5000)", "0x01", "''"], only: "mariadb" },
	{ ddl: "text compressed character set latin1", values: ["repeat('é', 500)"], only: "mariadb" },
	{
		ddl: "uuid",
		values: [0, 1, 2, 3, 4, 5, 6, 7, 8, 15].map(
			(version) => `'123e4567-e89b-${version.toString(16)}2d3-${version % 2 === 0 ? "a" : "0"}456-426655440000'`,
		),
		only: "mariadb",
	},
	{
		ddl: "inet6",
		values: [
			"'::'",
			"'::1'",
			"'::1.2.3.4'",
			"'::ffff:1.2.3.4'",
			"'1:0:0:2::3'",
			"'1::'",
			"'0:0:0:0:0:fffe:0:1'",
			"'::5:1.2.3.4'",
		],
		only: "mariadb",
	},
];

describe.each(MYSQL_SERVERS)("values in the log of %s", (server) => {
	describe.skipIf(missing(server))("law: the log gives what a SELECT gives", () => {
		let database: TestDatabase;
		let source: Source;
		let from: string;
		const tables: { name: string; ddl: string }[] = [];

		beforeAll(async () => {
			const shared = await sharedServer(server);
			database = await freshDatabase(shared);
			source = await openSource(shared);
			await database.query("set names utf8mb4, sql_mode = 'ALLOW_INVALID_DATES'");
			const cases = [
				...TYPE_CASES.filter(({ only }) => only === undefined || only === server),
				...MORE.filter(({ only }) => only === undefined || only === server),
				...MYSQL_CASES.filter(({ only }) => only === undefined || only === server).map(({ type, values }) => ({
					ddl: type,
					values,
				})),
			];
			for (const [serial, { ddl }] of cases.entries())
				await database.query(`create table t${serial} (id int primary key, c ${ddl}) engine=innodb`);
			from = await logOf(source).end();
			for (const [serial, { ddl, values }] of cases.entries()) {
				const name = `t${serial}`;
				for (const [id, value] of [...values, "null"].entries())
					await database.query(`insert into ${name} values (${id}, ${value})`).catch((error: unknown) => {
						// A value that this server refuses is none.
						if (id < values.length) return;
						throw error;
					});
				tables.push({ name, ddl });
			}
		}, 120_000);
		afterAll(async () => {
			await source?.[Symbol.asyncDispose]();
			await database?.drop();
		});

		test.each(MODES.map((types) => [types.mode, types] as const))(
			"mode %s",
			async (_mode, types) => {
				const described: SourceTable[] = await source.describe(
					tables.map(({ name }) => ({ table: { schema: database.name, name }, types })),
				);
				await using snapshot = await source.snapshot({ readers: 1 });
				const { rows } = await follow(source, described, { from, types });
				const wrong: unknown[] = [];
				for (const [index, { name, ddl }] of tables.entries()) {
					const selected = (await readAll(snapshot, described[index]!, { types })).toSorted(
						([a], [b]) => Number(a) - Number(b),
					);
					const logged = rows.filter(({ table }) => table === name).map(({ values }) => Object.values(values));
					expect(selected.length).toBeGreaterThan(0);
					if (JSON.stringify(logged) !== JSON.stringify(selected)) wrong.push({ ddl, logged, selected });
					expect(described[index]!.columns).toHaveLength(2);
				}
				expect(wrong).toEqual([]);
			},
			120_000,
		);
	});
});
