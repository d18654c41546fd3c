import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../support/processes.ts";
import { envelopeOf } from "./cli.ts";
import { verb } from "./in-process.ts";

test("a backfill that is stopped between two intervals is not done, and says where to go on", async () => {
	const folder = temporaryFolder("backfill");
	try {
		writeFileSync(join(folder.path, "t.csv"), "id,at\n1,2026-01-01\n2,2026-01-02\n3,2026-01-03\n");
		const lines = ["from: t.csv", "to: duckdb:w.duckdb", "tables:", "  t: { mode: interval, cursor: at, key: id }"];
		writeFileSync(join(folder.path, "p.yaml"), `${lines.join("\n")}\n`);
		const days = ["backfill", "p", "-s", "2026-01-01", "-e", "2026-01-04"];
		const stop = new AbortController();
		const stopped = await verb(folder.path, [...days, "--json"], {
			signal: stop.signal,
			onText: (text) => {
				if (/run \S+ of p succeeded/.test(text)) stop.abort();
			},
		});
		expect(stopped.code).toBe(130);
		const { data, errors } = envelopeOf(stopped);
		expect((data as { runs: { state: string }[] }).runs.map(({ state }) => state)).toEqual(["succeeded"]);
		expect(errors).toMatchObject([{ code: "E_STOPPED", hint: expect.stringContaining("-s 2026-01-02") }]);
		expect((await verb(folder.path, days)).code).toBe(0);
	} finally {
		folder.remove();
	}
});
