import { expect, test } from "vitest";
import { HeadraceError } from "../core/index.ts";
import type { ChangeCommits } from "./change-commits.ts";
import type { CaptureContext } from "./change-context.ts";
import { LogFollowing } from "./change-following.ts";

/** A log that can't be opened, each time for the next of these reasons. */
function following(...codes: ("E_LOG_SETTINGS" | "E_HISTORY_GONE")[]): LogFollowing {
	const open = async () => {
		throw new HeadraceError(codes.shift()!, "the log can't be opened");
	};
	const context = { log: { open }, follow: true, bufferBytesMax: 1024 } as unknown as CaptureContext;
	const commits = { position: { kind: "changes", at: "1", tables: {} } } as unknown as ChangeCommits;
	return new LogFollowing(context, commits);
}

test("a log that does not tell of a planned table is opened once more after a new plan, then it is an error", async () => {
	const log = following("E_LOG_SETTINGS", "E_LOG_SETTINGS");
	expect(await log.follow(new Map())).toBe("changed");
	await expect(log.follow(new Map())).rejects.toMatchObject({ code: "E_LOG_SETTINGS" });
});

test("a log that is gone is no matter of the plan", async () => {
	await expect(following("E_HISTORY_GONE").follow(new Map())).rejects.toMatchObject({ code: "E_HISTORY_GONE" });
});
