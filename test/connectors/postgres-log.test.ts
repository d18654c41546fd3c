import { describe, expect, test } from "vitest";
import { missing } from "../support/start.ts";
import { follow, loggedDatabase } from "./postgres-log-support.ts";
import { SERVERS } from "./postgres-support.ts";

describe.each(SERVERS)("%s", (server) => {
	const on = test.skipIf(missing(server));

	on("inserts, updates and deletes come in the order of their commits, with what they are of", async () => {
		await using at = await loggedDatabase(server);
		await at.query("CREATE TABLE t (id int PRIMARY KEY, name text, amount numeric(10,2))");
		const { tables, from } = await at.begin(["t"]);
		await at.query("INSERT INTO t VALUES (1, 'one', 1.50), (2, NULL, -20.25)");
		await at.query("UPDATE t SET name = 'two' WHERE id = 2");
		await at.query("DELETE FROM t WHERE id = 1");
		const { rows, events } = await follow(at.source, tables, { from });
		expect(rows).toEqual([
			{ table: "t", operation: "insert", transaction: 0, values: { id: "1", name: "one", amount: "1.50" } },
			{ table: "t", operation: "insert", transaction: 0, values: { id: "2", name: null, amount: "-20.25" } },
			{ table: "t", operation: "update", transaction: 1, values: { id: "2", name: "two", amount: "-20.25" } },
			{ table: "t", operation: "delete", transaction: 2, values: { id: "1" } },
		]);
		expect(events.map(({ kind }) => kind)).toEqual(["boundary"]);
	});
});
