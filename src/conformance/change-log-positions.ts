import assert from "node:assert/strict";
import { within } from "./case.ts";
import { type ChangeLogCase, commit, Follower, readAll, rowWords } from "./change-log-fixture.ts";
import { numberedRows, sameRows, type TextRow } from "./rows.ts";
import { numberedTable, readRows } from "./source-fixture.ts";

const FAST_MS = 20_000;

export const changeLogPositionCases: readonly ChangeLogCase[] = [
	[
		"law: taken up at any boundary, and after any transaction, each change comes once",
		async (fixture) => {
			const a = await numberedTable(fixture, "log_law_a", 2);
			const b = await numberedTable(fixture, "log_law_b", 2);
			await using follower = await Follower.of(fixture, [a, b]);
			for (let i = 1; i <= 5; i++)
				await commit(
					fixture,
					{ insert: i % 2 === 0 ? a : b, rows: [[`${i}0`, `row ${i}`]] },
					{ update: a, id: "1", set: "name", to: `v${i}` },
					...(i === 3 ? [{ delete: b, id: "1" } as const] : []),
				);
			const whole = await follower.read({ rows: 1 });
			const { log, begin } = follower;
			const places = new Set(
				whole.boundaries.flatMap(({ position, transactions }) => [position, ...transactions.map((t) => t.position)]),
			);
			assert.ok(places.size >= 5, `${places.size} places`);
			for (const place of [begin, ...places]) {
				const rest = await follower.read({ from: place });
				const expected = whole.placed.filter(({ position }) => log.compare(position, place) > 0);
				assert.deepEqual(
					byTable(rest.rows.map(rowWords)),
					byTable(expected.map(({ row }) => rowWords(row))),
					`from ${log.format(place)}`,
				);
			}
		},
	],
	[
		"positions are ordered as the log is, and are what people write",
		async (fixture) => {
			const t = await numberedTable(fixture, "log_compare", 0);
			await using follower = await Follower.of(fixture, [t]);
			const { log, begin } = follower;
			// Enough for texts that are not ordered as numbers are.
			for (let i = 0; i < 12; i++) await commit(fixture, { insert: t, rows: [[`${i}`, "x"]] });
			const { boundaries } = await follower.read({ rows: 1 });
			const transactions = boundaries.flatMap((boundary) => boundary.transactions.map(({ position }) => position));
			const places = [begin, ...transactions];
			for (const [index, place] of places.entries()) {
				assert.equal(log.compare(place, place), 0, "a position is at itself");
				assert.equal(log.compare(log.parse(place), place), 0, "a position is itself when it is parsed");
				assert.notEqual(log.format(place), "", "people can read it");
				for (const later of places.slice(index + 1)) {
					assert.ok(log.compare(place, later) < 0, `${place} is before ${later}`);
					assert.ok(log.compare(later, place) > 0, `${later} is after ${place}`);
				}
			}
			for (const boundary of boundaries)
				for (const { position } of boundary.transactions)
					assert.ok(log.compare(position, boundary.position) <= 0, "a boundary is at or after its transactions");
			assert.ok(log.compare(transactions.at(-1)!, await log.end()) <= 0, "the end is at or after all of them");
			assert.throws(() => log.parse("no such place!"), { code: "E_INVALID_VALUE" });
		},
	],
	[
		"a stream ends at a boundary at or after its end, and has all that was committed before that was asked",
		async (fixture) => {
			const t = await numberedTable(fixture, "log_until", 0);
			await using follower = await Follower.of(fixture, [t]);
			const { log } = follower;
			await commit(fixture, { insert: t, rows: [["1", "before"]] });
			const until = await log.end();
			await commit(fixture, { insert: t, rows: [["2", "after"]] });
			const { placed, boundaries } = await follower.read({ until, rows: 1 });
			assert.ok(
				placed.some(({ row }) => row.values[0] === "1"),
				"what was committed before is given",
			);
			const last = boundaries.at(-1);
			assert.ok(last !== undefined && log.compare(last.position, until) >= 0, "it ends at or after its end");
			assert.ok(placed.length === 1 || log.compare(placed[0]!.boundary, until) < 0, "it ends at the first one");
			const rest = await follower.read({ from: last.position, until: last.position });
			for (const { position } of rest.placed)
				assert.ok(log.compare(position, last.position) > 0, "from a position to itself there is nothing of before");
		},
	],
	[
		"the position moves with the log when nothing is of interest in it",
		async (fixture) => {
			const t = await numberedTable(fixture, "log_idle", 0);
			const other = await numberedTable(fixture, "log_idle_other", 0);
			await using follower = await Follower.of(fixture, [t]);
			const { log, begin } = follower;
			await commit(fixture, { insert: other, rows: numberedRows(3) });
			const { boundaries } = await follower.read();
			assert.ok(log.compare(boundaries.at(-1)?.position ?? begin, begin) > 0, "a boundary without rows");
		},
	],
	[
		"a stream without an end waits for what comes",
		async (fixture) => {
			const t = await numberedTable(fixture, "log_live", 0);
			await using follower = await Follower.of(fixture, [t]);
			await using stream = await follower.open({ from: follower.begin, rows: 1 });
			const waiting = readAll(stream, ({ rows, boundaries }) => rows.length >= 2 && boundaries.length > 0);
			await commit(fixture, { insert: t, rows: [["1", "one"]] });
			await commit(fixture, { insert: t, rows: [["2", "two"]] });
			const { texts } = await within(fixture.endMs ?? FAST_MS, "what was committed", waiting);
			assert.deepEqual(texts.slice(0, 2), ["insert log_live 1,one", "insert log_live 2,two"]);
		},
	],
	[
		"an aborted stream fails, also while it waits; one that is aborted already gives nothing",
		async (fixture) => {
			const t = await numberedTable(fixture, "log_abort", 0);
			await using follower = await Follower.of(fixture, [t]);
			const abort = new AbortController();
			await using stream = await follower.open({ from: follower.begin, rows: 1, signal: abort.signal });
			const ended = readAll(stream).then(
				() => "ended as if whole",
				() => "failed",
			);
			await commit(fixture, { insert: t, rows: [["1", "one"]] });
			abort.abort();
			assert.equal(await within(fixture.endMs ?? FAST_MS, "an aborted stream", ended), "failed");
			const stillborn = async () => {
				await using never = await follower.open({ from: follower.begin, signal: AbortSignal.abort() });
				await readAll(never);
			};
			await assert.rejects(within(fixture.endMs ?? FAST_MS, "a stillborn stream", stillborn()));
			assert.deepEqual((await follower.read()).texts, ["insert log_abort 1,one"], "the log is as it was");
		},
	],
	[
		"a stream that is closed early, and twice, gives its place free",
		async (fixture) => {
			const t = await numberedTable(fixture, "log_close", 0);
			await using follower = await Follower.of(fixture, [t]);
			await commit(fixture, { insert: t, rows: numberedRows(10) });
			for (let i = 0; i < 2; i++) {
				const stream = await follower.open({ from: follower.begin, rows: 1 });
				await within(
					fixture.endMs ?? FAST_MS,
					"the first rows",
					readAll(stream, ({ rows }) => rows.length > 0),
				);
				await stream[Symbol.asyncDispose]();
				await stream[Symbol.asyncDispose]();
			}
			assert.equal((await follower.read()).rows.length, 10);
		},
	],
	[
		"what is acknowledged is let go, and nothing that follows it",
		async (fixture) => {
			const t = await numberedTable(fixture, "log_acknowledge", 0);
			await using follower = await Follower.of(fixture, [t]);
			for (let i = 1; i <= 3; i++) await commit(fixture, { insert: t, rows: [[`${i}`, "x"]] });
			const { placed } = await follower.read({ rows: 1 });
			const middle = placed[1]!.position;
			{
				await using stream = await follower.open({ from: follower.begin, until: await follower.log.end(), rows: 1 });
				await readAll(stream, ({ rows }) => rows.length >= 2);
				await stream.acknowledge(middle);
			}
			const rest = await follower.read({ from: middle });
			assert.deepEqual(rest.texts, ["insert log_acknowledge 3,x"]);
		},
	],
	[
		"the headroom tells how far a position is behind the end",
		async (fixture) => {
			const t = await numberedTable(fixture, "log_headroom", 0);
			await using follower = await Follower.of(fixture, [t]);
			const { log, begin } = follower;
			await commit(fixture, { insert: t, rows: numberedRows(100) });
			const behind = await log.headroom(begin);
			assert.ok(behind.bytesBehind > 0, "bytes of log lie between");
			assert.ok(log.compare(behind.end, begin) > 0, "the end is after it");
			const { boundaries } = await follower.read();
			const near = await log.headroom(boundaries.at(-1)!.position);
			const far = await log.headroom(begin);
			assert.ok(near.bytesBehind < far.bytesBehind, "a later position is nearer");
		},
	],
	[
		"law: a snapshot and the log from its place are the table, whatever is committed meanwhile",
		async (fixture) => {
			const { source } = fixture;
			const t = await numberedTable(fixture, "log_hand_over", 20);
			const { changeLog: log } = source;
			assert.ok(log !== undefined, "the source has no change log");
			await using follower = await Follower.of(fixture, [t]);
			await commit(fixture, { insert: t, rows: [["100", "before"]] }, { update: t, id: "1", set: "name", to: "b" });
			await using snapshot = await source.snapshot({ readers: 1, forLog: true });
			const place = await snapshot.logPlace?.();
			if (place === undefined) return;
			await commit(fixture, { update: t, id: "100", set: "name", to: "after" }, { delete: t, id: "2" });
			await commit(fixture, { insert: t, rows: [["101", "new"]] }, { update: t, id: "3", set: "id", to: "30" });
			const copy = new Map((await readRows(snapshot, t)).map((row) => [row[0], row] as const));
			assert.equal(copy.size, 21, "the snapshot's rows");
			const { rows, texts } = await follower.read({ from: place.position, before: "key-changes" });
			if (place.exact)
				assert.deepEqual(
					texts.filter((text) => text.includes("before,")),
					[],
					"it holds what was before",
				);
			let moved: TextRow | undefined;
			for (const { operation, values } of rows) {
				const key = values[0]!;
				const base: TextRow | undefined = moved ?? copy.get(key);
				moved = operation === "before" ? copy.get(key) : undefined;
				if (operation === "delete" || operation === "before") copy.delete(key);
				else copy.set(key, [key, values[1] === undefined ? (base?.[1] ?? null) : values[1]]);
			}
			await using later = await source.snapshot({ readers: 1 });
			sameRows([...copy.values()], await readRows(later, t));
		},
	],
];

/** Rows of one table keep their order; those of two within a transaction need not. */
function byTable(words: readonly string[]): string[] {
	return [...words].sort((x, y) =>
		(x.split(" ")[1] ?? "") < (y.split(" ")[1] ?? "") ? -1 : x.split(" ")[1] === y.split(" ")[1] ? 0 : 1,
	);
}
