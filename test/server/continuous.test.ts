import { expect, test } from "vitest";
import { freshDatabase, sharedServer } from "../support/shared.ts";
import { missing } from "../support/start.ts";
import { listen, openWorld, tokenOf, until } from "./world.ts";

test.skipIf(missing("postgres15"))(
	"a change stream of a real server is followed, seen, held and goes on",
	async () => {
		const server = await sharedServer("postgres15");
		await using source = await freshDatabase(server, "source");
		await using target = await freshDatabase(server, "target");
		await source.query("create table notes (id int primary key, text text)");
		await source.query("insert into notes values (1, 'one')");
		await using world = await openWorld({
			pipelines: {
				notes:
					"from: source\nto: target\nschedule: continuous\nflush: { seconds: 0.1 }\ntables: { public.notes: { mode: cdc, into: copy.notes } }\n",
			},
			connections: `source: "${source.url}"\ntarget: "${target.url}"\n`,
			realSource: true,
		});
		const token = await tokenOf(world, "operator");
		await using http = await listen(world);
		const { service } = world;
		const copied = async (ids: string) => {
			const rows = await target
				.query("select string_agg(id::text, ' ' order by id) ids from copy.notes")
				.catch(() => []);
			return rows[0]?.["ids"] === ids ? true : undefined;
		};
		const changes = async () => (await http.ask("/api/pipelines/notes/changes", { token })).json;
		await service.start();
		await until(() => copied("1"));
		await source.query("insert into notes values (2, 'two')");
		await until(() => copied("1 2"));
		expect(await changes()).toMatchObject({ state: "following", restarts: 0, problem: null });
		expect((await http.ask("/api/pipelines/notes/run", { token, body: {} })).json.errors[0].code).toBe("E_BUSY");

		const measured = await until(async () => {
			await service.changes.look(service.sound());
			const { bytes_behind, position, log_end, tables } = await changes();
			return bytes_behind === null ? undefined : { position, log_end, tables };
		});
		expect(measured).toMatchObject({ position: /^[\dA-F]+\/[\dA-F]+/i, tables: [{ table: "public.notes" }] });
		const { text } = await http.ask("/metrics", { token });
		expect(text).toMatch(/headrace_change_behind_bytes\{pipeline="notes"\} \d+/);
		expect(text).toContain('headrace_rows_loaded_total{pipeline="notes",table="public.notes"} 2');
		expect(text).toMatch(/headrace_change_lag_seconds\{pipeline="notes"\} [\d.]+/);

		await http.ask("/api/pipelines/notes/pause", { token, body: {} });
		await until(async () => ((await changes()).state === "paused" ? true : undefined));
		await until(async () => {
			const { runs } = (await http.ask("/api/runs", { token })).json;
			return runs[0].state === "stopped" && runs[0].trigger === "continuous" ? true : undefined;
		});
		await source.query("insert into notes values (3, 'three')");
		await http.ask("/api/pipelines/notes/unpause", { token, method: "POST" });
		await until(() => copied("1 2 3"));
	},
	180_000,
);
