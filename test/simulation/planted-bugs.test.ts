import { expect, test } from "vitest";
import { PLANTED_BUGS } from "./planted-bugs.ts";
import { CHOSEN_SEED, findSeed } from "./seeds.ts";

const SEEDS_MAX = 600;
const SEEDS = Array.from({ length: SEEDS_MAX }, (_, i) => i + 1);

// A chosen seed is for the flow as it is: it need not find these.
test.skipIf(CHOSEN_SEED !== null).each(PLANTED_BUGS.map((planted) => [planted.bug, planted] as const))(
	"found: %s",
	async (bug, planted) => {
		const found = await findSeed(SEEDS, { world: planted.world, plant: planted.plant });
		expect(found, `no law was broken in ${SEEDS_MAX} seeds`).not.toBeNull();
		expect(found?.error.message).toMatch(planted.law);
		console.info(`seed ${found?.seed} finds "${bug}": ${found?.error.message.split("\n")[0]?.slice(0, 100)}`);
		// It is the bug that breaks the law, not the world that it is planted in.
		expect(await findSeed([found?.seed ?? 0], { world: planted.world })).toBeNull();
	},
);
