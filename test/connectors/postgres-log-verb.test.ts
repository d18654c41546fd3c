/** `headrace changes postgres://…`: what a person sees of a slot, and that nothing of it is used up. */
import { describe, expect, test } from "vitest";
import { type Envelope, headrace } from "../cli/cli.ts";
import { missing } from "../support/start.ts";
import { loggedDatabase } from "./postgres-log-support.ts";
import { SERVERS } from "./postgres-support.ts";

describe.each(SERVERS)("%s", (server) => {
	const on = test.skipIf(missing(server));

	on(
		"what a slot keeps is printed, as often as it is asked for; without a slot there is no beginning",
		async () => {
			await using at = await loggedDatabase(server);
			const { url } = at.database;
			await at.query("CREATE TABLE orders (id int PRIMARY KEY, status text); ALTER TABLE orders REPLICA IDENTITY FULL");
			await at.query("CREATE PUBLICATION some_tables FOR TABLE orders");
			const early = await headrace(["changes", url]);
			expect(early.code).toBe(1);
			expect(early.stderr).toContain("E_HISTORY_GONE");
			await at.begin(["orders"]);
			await at.query("INSERT INTO orders VALUES (7, 'new')");
			await at.query("UPDATE orders SET status = 'paid'; DELETE FROM orders");
			for (let times = 0; times < 2; times++) {
				const { code, stdout, stderr } = await headrace(["changes", url, "--from", "beginning"]);
				expect(stderr).not.toContain("E_");
				expect(code).toBe(0);
				const lines = stdout.split("\n");
				expect(lines[0]).toBe('WriteRows public.orders id=7 status="new"');
				expect(lines[1]).toMatch(/^ {2}commit \S+Z {2}[0-9A-F]+\/[0-9A-F]+ {2}\d+$/);
				expect(lines[2]).toBe('UpdateRows public.orders id=7 status="new" => "paid"');
				expect(lines[3]).toBe('DeleteRows public.orders id=7 status="paid"');
			}
			const json = await headrace(["changes", url, "--from", "beginning", "--json"]);
			const last = JSON.parse(json.stdout.trim().split("\n").at(-1)!) as Envelope & {
				data: { insert: number; update: number; delete: number; commit: number; position: string };
			};
			expect(last.data).toMatchObject({ insert: 1, update: 1, delete: 1, commit: 2 });
			// From a place that is printed, what came after it.
			const first = /commit \S+ {2}(\S+)/.exec((await headrace(["changes", url])).stdout)![1]!;
			const rest = await headrace(["changes", url, "--from", first]);
			expect(rest.stdout.split("\n")[0]).toBe('UpdateRows public.orders id=7 status="new" => "paid"');
		},
		180_000,
	);

	on(
		"a table that nobody publishes is named with the statement",
		async () => {
			await using at = await loggedDatabase(server);
			await at.query("CREATE TABLE orders (id int PRIMARY KEY)");
			const { code, stderr } = await headrace(["changes", at.database.url, "--from", "now"]);
			expect(code).toBe(1);
			expect(stderr).toContain("E_LOG_SETTINGS");
			expect(stderr).toMatch(/CREATE PUBLICATION .* FOR TABLE "public"."orders"/);
		},
		30_000,
	);
});
