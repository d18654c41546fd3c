import { expect, test } from "vitest";
import { CHOSEN_SEED } from "../seeds.ts";
import { PLANTED_CHANGE_BUGS } from "./planted-bugs.ts";
import { findChangeSeed } from "./seeds.ts";

const SEEDS_MAX = 300;
const SEEDS = Array.from({ length: SEEDS_MAX }, (_, i) => i + 1);

// A chosen seed is for the flow as it is: it need not find these.
test.skipIf(CHOSEN_SEED !== null).each(PLANTED_CHANGE_BUGS.map((planted) => [planted.bug, planted] as const))(
	"found: %s",
	async (bug, { world, plant, law }) => {
		const found = await findChangeSeed(SEEDS, { world, plant });
		expect(found, `no law was broken in ${SEEDS_MAX} seeds`).not.toBeNull();
		expect(found?.error.message).toMatch(law);
		console.info(`seed ${found?.seed} finds "${bug}": ${found?.error.message.split("\n")[0]?.slice(0, 100)}`);
		// It is the bug that breaks the law, not the world that it is planted in.
		expect(await findChangeSeed([found?.seed ?? 0], { world })).toBeNull();
	},
);
