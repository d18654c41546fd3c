import { describe, expect, test } from "vitest";
import {
	type Case,
	changeLogSuite,
	destinationSuite,
	type Setup,
	type StagingFixture,
	type StateStoreFixture,
	sourceSuite,
	stagingSuite,
	stateStoreSuite,
} from "../../src/conformance/index.ts";
import type { Lease, Staging, StateStore } from "../../src/core/index.ts";
import { CHANGES_BUGS } from "./memory-planted-changes-bugs.ts";
import { DESTINATION_BUGS } from "./memory-planted-destination-bugs.ts";
import { LOG_BUGS } from "./memory-planted-log-bugs.ts";
import { type PlantedBug, SOURCE_BUGS } from "./memory-planted-source-bugs.ts";
import {
	memoryDestinationFixture,
	memorySourceFixture,
	memoryStagingFixture,
	memoryStateStoreFixture,
} from "./memory-support.ts";

function inStaging(
	bug: string,
	caughtBy: string,
	change: (port: Staging) => Partial<Staging>,
): PlantedBug<StagingFixture> {
	return { bug, caughtBy, open: () => memoryStagingFixture((port) => ({ ...port, ...change(port) })) };
}

/** A path made harmless instead of being refused. */
const tamed = (path: string) => path.replaceAll(/\.\.|[\\\0]/g, "").replaceAll(/\/\.?(?=\/)|^\/|\/$/g, "") || "x";
const bytes = (text: string) => new TextEncoder().encode(text);

const STAGING_BUGS: readonly PlantedBug<StagingFixture>[] = [
	inStaging("writeOnce overwrites", "writeOnce over other content is E_FENCED and leaves it", (port) => ({
		writeOnce: async (path, content) => {
			await port.remove([path]);
			await port.writeOnce(path, content);
		},
	})),
	inStaging(
		"writeOnce refuses its own content",
		"writeOnce writes a file that is not there, and the same again is fine",
		(port) => ({
			writeOnce: async (path, content) => {
				if ((await port.read(path)) !== null) await port.writeOnce(path, bytes(`${content.length} other`));
				await port.writeOnce(path, content);
			},
		}),
	),
	inStaging(
		"writeOnce looks first and writes later",
		"of several writeOnce at once with other contents exactly one wins",
		(port) => ({
			writeOnce: async (path, content) => {
				if ((await port.read(path)) !== null) return port.writeOnce(path, content);
				await port.writeOnce(path, content).catch(async () => {
					await port.remove([path]);
					await port.writeOnce(path, content);
				});
			},
		}),
	),
	inStaging(
		"a file has its name before its commit",
		"a file has its name only after its commit, with its bytes and checksum",
		(port) => ({
			create: async (path) => {
				await port.writeOnce(path, bytes(""));
				return port.create(path);
			},
		}),
	),
	inStaging(
		"a checksum is not checked",
		"fetch refuses a file with another checksum, and one that is not there",
		(port) => ({
			fetch: (path) => port.fetch(path),
		}),
	),
	inStaging(
		"disposing a copy removes the file",
		"fetch gives a local copy, and disposing it leaves what is staged",
		(port) => ({
			fetch: async (path, sha256) => {
				const copy = await port.fetch(path, sha256);
				return {
					...copy,
					[Symbol.asyncDispose]: async () => {
						await copy[Symbol.asyncDispose]();
						await port.remove([path]);
					},
				};
			},
		}),
	),
	inStaging(
		"list cuts the prefix at its slash",
		"list gives what is under a prefix, with sizes and times, and nothing when there is nothing",
		(port) => ({
			list: (prefix) => port.list(prefix.replace(/\/$/, "")),
		}),
	),
	inStaging(
		"remove takes paths for prefixes",
		"remove removes exactly what it is told; what is gone already is fine",
		(port) => ({
			remove: async (paths) => {
				for (const path of paths) await port.remove((await port.list(path)).map((entry) => entry.path));
			},
		}),
	),
	inStaging(
		"paths that climb are tamed, not refused",
		"paths never leave the root, whatever is done with them",
		(port) => ({
			create: (path) => port.create(tamed(path)),
			read: (path) => port.read(tamed(path)),
		}),
	),
	inStaging("names are decoded", "names with percent signs, blanks and other letters are kept apart", (port) => ({
		create: (path) => port.create(path.replaceAll("%2E", ".")),
	})),
];

function inStore(
	bug: string,
	caughtBy: string,
	change: (port: StateStore) => Partial<StateStore>,
): PlantedBug<StateStoreFixture> {
	return { bug, caughtBy, open: () => memoryStateStoreFixture((port) => ({ ...port, ...change(port) })) };
}

const current = async (port: StateStore, lease: Lease) => (await port.leaseHolder(lease.name)) ?? lease;

const STATE_STORE_BUGS: readonly PlantedBug<StateStoreFixture>[] = [
	inStore("a lease is granted twice", "a lease has one holder at a time, and is told who", (port) => ({
		acquireLease: (name, holder, durationMs) => port.acquireLease(`${name} ${holder}`, holder, durationMs),
	})),
	inStore("a lease is looked at first and taken later", "of several at once exactly one gets a lease", (port) => ({
		acquireLease: async (name, holder, durationMs) => {
			const known = await port.leaseHolder(name);
			if (known !== null) return null;
			const lease = await port.acquireLease(name, holder, durationMs);
			return lease ?? { name, holder, epoch: 1, expiresAt: new Date().toISOString() };
		},
	})),
	inStore(
		"the epoch does not grow",
		"a lease that was released is free, and its next holder has a higher epoch",
		(port) => ({
			acquireLease: async (name, holder, durationMs) => {
				const lease = await port.acquireLease(name, holder, durationMs);
				return lease === null ? null : { ...lease, epoch: 1 };
			},
		}),
	),
	inStore(
		"renewing always succeeds",
		"a lease that expired is free, and its former holder learns that it lost it",
		(port) => ({
			renewLease: async (lease, durationMs) => {
				await port.renewLease(lease, durationMs);
				return true;
			},
		}),
	),
	inStore(
		"anyone can release",
		"a lease that was released is free, and its next holder has a higher epoch",
		(port) => ({
			releaseLease: async (lease) => port.releaseLease(await current(port, lease)),
		}),
	),
	inStore("the epoch is not compared", "a lease of the same holder but an older epoch is lost", (port) => ({
		renewLease: async (lease, durationMs) => {
			const { epoch } = await current(port, lease);
			return port.renewLease({ ...lease, epoch }, durationMs);
		},
	})),
	inStore("renewing changes nothing", "renewing keeps a lease", () => ({ renewLease: async () => true })),
	inStore(
		"runs come oldest first",
		"runs come newest first, of one pipeline or all, at most as many as asked",
		(port) => ({
			runs: async (query) => (await port.runs(query)).reverse(),
		}),
	),
	inStore(
		"an ambiguous id gives the first",
		"a run is found by a beginning of its id when that is unique, and a whole id is always",
		(port) => ({
			run: async (id) => (await port.runs({ limit: 100 })).find((run) => run.run_id.startsWith(id)) ?? null,
		}),
	),
	inStore("tables of a run that is saved again pile up", "saving a run again replaces it and its tables", (port) => ({
		saveRun: async (run) => {
			const known = await port.run(run.run_id);
			await port.saveRun({ ...run, tables: [...(known?.tables ?? []), ...run.tables] });
		},
	})),
	inStore("log lines of all tasks are given", "log lines stay in their order, by run and by task", (port) => ({
		log: (runId) => port.log(runId),
	})),
	inStore(
		"positions of all pipelines are one",
		"positions are kept by pipeline and stream, the last saved one",
		(port) => ({
			savePositions: (_pipeline, positions) => port.savePositions("shop", positions),
			positions: () => port.positions("shop"),
		}),
	),
	inStore(
		"the last success is that of the last run",
		"the last success of each table is known, whatever came after it",
		(port) => ({
			lastSuccesses: async (pipeline) => {
				const [run] = await port.runs({ pipeline, limit: 1 });
				return (run?.tables ?? []).map(({ table }) => ({ table, at: run?.finished_at ?? "" }));
			},
		}),
	),
	inStore(
		"alarms of all pipelines are one",
		"what channels know is kept by pipeline, and changed as a whole",
		(port) => ({
			alerts: () => port.alerts("shop"),
			changeAlerts: (_pipeline, change) => port.changeAlerts("shop", change),
		}),
	),
	inStore(
		"alarms are read first and written later",
		"no change of what channels know is lost to another one at the same time",
		(port) => ({
			changeAlerts: async (pipeline, change) => {
				const entries = change(await port.alerts(pipeline));
				return port.changeAlerts(pipeline, () => entries);
			},
		}),
	),
];

function expectCaught<Fixture extends AsyncDisposable>(
	suite: (setup: Setup<Fixture>) => Case[],
	healthy: () => Promise<Fixture>,
	bugs: readonly PlantedBug<Fixture>[],
): void {
	test.each(bugs.map((bug) => [bug.bug, bug] as const))("%s", async (_name, { caughtBy, open }) => {
		const find = (cases: readonly Case[]) => cases.find((c) => c.name === caughtBy);
		await find(suite({ open: healthy }))?.run();
		const failed = await find(suite({ open }))
			?.run()
			.then(
				() => null,
				(error: unknown) => error,
			);
		expect(failed, `"${caughtBy}" did not catch it`).toBeInstanceOf(Error);
	});
}

describe("the source suite catches", () => expectCaught(sourceSuite, () => memorySourceFixture(), SOURCE_BUGS));
describe("the change log suite catches", () => expectCaught(changeLogSuite, () => memorySourceFixture(), LOG_BUGS));
describe("the destination suite catches", () =>
	expectCaught(destinationSuite, () => memoryDestinationFixture(), DESTINATION_BUGS));
describe("the destination suite catches, of changes,", () =>
	expectCaught(destinationSuite, () => memoryDestinationFixture(), CHANGES_BUGS));
describe("the staging suite catches", () => expectCaught(stagingSuite, () => memoryStagingFixture(), STAGING_BUGS));
describe("the state store suite catches", () =>
	expectCaught(stateStoreSuite, () => memoryStateStoreFixture(), STATE_STORE_BUGS));

test("a gap that names no case is an error", () => {
	const open = () => memoryStagingFixture();
	expect(() => stagingSuite({ open, skip: [{ case: "no such case", reason: "none" }] })).toThrow(/no such case/);
	const cases = stagingSuite({ open, skip: [{ case: "closing twice is harmless", reason: "it is not" }] });
	expect(cases.find((c) => c.skip === "it is not")?.name).toBe("closing twice is harmless");
});
