import { describe, expect, test } from "vitest";
import { ArchiveWorld } from "../scenarios/archive-world.ts";
import { missing } from "../support/start.ts";

/**
 * The first two while tables get a version to add to; then a flush of two tables, up to and past its commit. Those that
 * leave a state of their own, and with KILLS all.
 */
const POINTS =
	process.env["KILLS"] === undefined
		? ["file-pointed", "c09", "file-shown"]
		: ["file-built", "file-pointed", "c08", "c09", "c10", "file-shown", "cdc-apply", "cdc-applied", "cdc-acknowledged"];

/** A version that is there and does not count; one that counts and is not shown, or whose older one is there. */
const COMPACTION = [
	"archive-compact-placed",
	"archive-compact-committed",
	...(process.env["KILLS"] === undefined ? [] : ["file-built", "file-pointed"]),
];

describe("an archive whose run is killed at a crash point", () => {
	test.skipIf(missing("mariadb"))(
		"holds whole transactions whoever reads it as a log, and the next run loses and doubles nothing",
		async () => {
			await using world = await ArchiveWorld.open("mariadb");
			const { project } = world;
			for (const name of ["follow", "archive"]) await project.succeed("run", name);
			for (const [index, point] of POINTS.entries()) {
				const id = 100 + index;
				await world.work([
					`insert into items values (${id}, '${point}', ${index}, null); insert into orders values (${id}, ${id}, 'new')`,
					`update items set name = 'again' where id = ${id}; update orders set state = 'again' where id = ${id}`,
				]);
				const killed = await project.start(["run", "archive"], { env: { HEADRACE_CRASH: point } }).ended;
				expect(killed.signal, `${point}: ${killed.stdout}${killed.stderr}`).toBe("SIGKILL");
				await project.succeed("run", "state");
				const [items] = await world.states("state.duckdb", "items");
				const [orders] = await world.states("state.duckdb", "orders");
				// Each transaction has changed one row of both.
				const pairs = (lines: readonly string[]) => lines.filter((line) => /^1\d\d\|/.test(line));
				expect(pairs(orders).length, `after a kill at ${point}`).toBe(pairs(items).length);
			}
			for (const name of ["follow", "archive", "rebuild", "state"]) await project.succeed("run", name);
			for (const table of ["items", "orders"]) {
				expect(await world.versions("rebuilt.duckdb", table)).toEqual(await world.versions("followed.duckdb", table));
				const [kept, wanted] = await world.states("state.duckdb", table);
				expect(kept).toEqual(wanted);
				const files = await world.archived(table, (from) => `select count(*) from ${from} where id >= 100`);
				expect(files).toEqual([String(POINTS.length * 3)]);
			}
			expect(project.files("archive").filter((name) => name.endsWith(".tmp"))).toEqual([]);
		},
	);

	test.skipIf(missing("mariadb"))("while its files are put together, holds what it held", async () => {
		await using world = await ArchiveWorld.open("mariadb");
		const { project } = world;
		for (const name of ["follow", "archive"]) await project.succeed("run", name);
		const files = () => project.files("archive").filter((name) => /items\/\d+\/data\/since-.*$/.test(name));
		for (const [index, point] of COMPACTION.entries()) {
			await world.work([`insert into items values (${100 + index}, '${point}', ${index}, null)`]);
			await project.succeed("run", "archive");
			await world.work([`update items set name = 'again' where id = ${100 + index}; delete from items where id < 100`]);
			await project.succeed("run", "archive");
			const killed = await project.start(["compact", "archive"], { env: { HEADRACE_CRASH: point } }).ended;
			expect(killed.signal, `${point}: ${killed.stdout}${killed.stderr}`).toBe("SIGKILL");
			await project.succeed("run", "state");
			const [kept, wanted] = await world.states("state.duckdb", "items");
			expect(kept, `after a kill at ${point}`).toEqual(wanted);
		}
		const follower = project.start(["run", "archive", "--follow"]);
		await follower.says(/started/);
		expect((await project.fail(75, "compact", "archive"))[0]?.code).toBe("E_BUSY");
		follower.kill("SIGTERM");
		await follower.ended;
		for (const command of ["compact", "run"]) await project.succeed(command, "archive");
		for (const name of ["follow", "rebuild", "state"]) await project.succeed("run", name);
		expect(await world.versions("rebuilt.duckdb", "items")).toEqual(await world.versions("followed.duckdb", "items"));
		expect(await world.archived("items", (from) => `select count(*) from ${from} where id >= 100`)).toEqual([
			String(COMPACTION.length * 3),
		]);
		expect(files()).toHaveLength(1);
	});
});
