/** Law of full fidelity: whatever the type and the policy, the log gives what a snapshot of the same rows gives. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { missing } from "../support/start.ts";
import { follow } from "./log-support.ts";
import { type LoggedDatabase, loggedDatabase } from "./postgres-log-support.ts";
import { codeOf, policy, readTable, SERVERS } from "./postgres-support.ts";
import { CASES, SCHEMA } from "./postgres-type-cases.ts";

const long = "x".repeat(5000);
/** What the log prints in a way of its own, besides the cases of the snapshot. */
const MORE: readonly { readonly type: string; readonly values: readonly string[] }[] = [
	{ type: "money", values: ["-0.01", "1234567.89", "0"] },
	{ type: "numeric(20,5)", values: ["-0.00001", "10000.00000", "99999999.99990", "100000000.5", "0"] },
	{ type: "float4", values: ["1.17549435e-38", "0.1", "16777217", "-3.4028235e38", "7e-45", "8388608.5"] },
	{ type: "text[]", values: [`{"\\\\",a\\b,"line\nbreak","tab\t","{","}"," ","é😀"}`, `{"${long}"}`] },
	{ type: "box[]", values: ["{(3,4),(1,2);(1,1),(0,0)}"] },
	{ type: "interval[]", values: ["{1 mon -3 days 04:05:06.7}"] },
	{ type: "ext.hstore[]", values: [`{"\\"a\\"=>\\"1\\""}`] },
	{ type: "ext.hstore", values: [`"a"=>"1, 2", "b=>"=>"x \\\\ y", " "=>""`] },
	{ type: "ext.address", values: [`("a\\\\b ""q"" (x), y",NaN,infinity)`, "(,,)", `("",1e300,"0044-03-15 BC")`] },
	{
		type: "ext.everything",
		values: [
			`(t,1.5,-0,"2024-01-01 10:00:00+00","2024-01-01 10:00:00.5","{""a"": 1}","{1,NULL}","(s,1,2024-02-29)","a=>NULL")`,
		],
	},
	{ type: "ext.everything[]", values: [`{"(f,,NaN,infinity,,null,\\"{}\\",,)"}`] },
	{ type: "int4[][]", values: ["{{1,NULL},{3,4}}"] },
	{ type: "timestamptz[][]", values: [`{{"2024-01-01 00:00:00+05"}}`] },
	{ type: "bytea", values: [`\\x${"00ff".repeat(5000)}`] },
	{ type: "ext.spans", values: ["[1,5)"] },
];
const TYPES = [...CASES.map(({ type, values }) => ({ type, values })), ...MORE];

describe.each(SERVERS)("%s", (server) => {
	describe.skipIf(missing(server))("values of the log are those of a snapshot", () => {
		let at: LoggedDatabase;
		let from: string;
		const names = TYPES.map((_, index) => `t${index}`);

		beforeAll(async () => {
			at = await loggedDatabase(server);
			await at.query(SCHEMA);
			await at.query(`create type ext.everything as (flag bool, n numeric, f float8, tz timestamptz, ts timestamp,
				j jsonb, list int4[], nested ext.address, map ext.hstore);
				create domain ext.spans as int4range`);
			for (const [index, { type }] of TYPES.entries())
				await at.query(
					`create table t${index} (id int primary key, c ${type}); alter table t${index} replica identity full`,
				);
			({ from } = await at.begin(names));
			for (const [index, { type, values }] of TYPES.entries()) {
				const rows = [...values.map((value) => `$v$${value}$v$::${type}`), ...(type === "ext.amount" ? [] : ["null"])];
				await at.query(`insert into t${index} values ${rows.map((row, id) => `(${id}, ${row})`).join(", ")}`);
			}
			// The same values again, as the row after and the row before of an update.
			for (const name of names) await at.query(`update ${name} set id = id + 1000`);
		});
		afterAll(async () => at?.[Symbol.asyncDispose]());

		test.each([
			["exact", policy()],
			["string", policy({ mode: "string" })],
			["lenient", policy({ mode: "lenient", nan: "null", infinity: "null", outOfRange: "null" })],
		] as const)(
			"in %s mode",
			async (_name, types) => {
				const reads = new Map<string, Awaited<ReturnType<typeof readTable>>>();
				for (const name of names) reads.set(name, await readTable(at.source, name, types));
				const described = [...reads.values()].map(({ table }) => table);
				const { rows } = await follow(at.source, described, { from, types });
				const failures: string[] = [];
				for (const [index, name] of names.entries()) {
					const read = reads.get(name)!;
					const snapshot = [...read.rows].sort((a, b) => Number(a[0]) - Number(b[0])).map((row) => row[1] ?? null);
					for (const operation of ["insert", "before", "update"]) {
						const logged = rows
							.filter((row) => row.table === name && row.operation === operation)
							.sort((a, b) => Number(a.values["id"]) - Number(b.values["id"]))
							.map((row) => row.values["c"] ?? null);
						if (JSON.stringify(logged) !== JSON.stringify(snapshot))
							failures.push(
								`${TYPES[index]!.type} ${operation}: ${JSON.stringify(logged)} is not ${JSON.stringify(snapshot)}`,
							);
					}
				}
				expect(failures).toEqual([]);
				expect(rows.length).toBeGreaterThan(TYPES.length * 6);
			},
			180_000,
		);

		test("a conversion that only a SELECT can do is refused by name", async () => {
			const index = TYPES.findIndex(({ type }) => type === "text");
			const types = policy({ overrides: { c: { kind: "date" } } });
			const [table] = await at.source.describe([{ table: { schema: "public", name: `t${index}` }, types }]);
			expect(await codeOf(follow(at.source, [table!], { from, types }))).toBe("E_TYPE_REFUSED");
		});
	});
});
