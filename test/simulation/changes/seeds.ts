import { type FoundSeed, withFolder } from "../seeds.ts";
import { type ChangeScenarioOptions, runChangeSeed } from "./scenario.ts";

/** The first of the seeds that breaks a law; null when none does. */
export async function findChangeSeed(
	seeds: readonly number[],
	options: Omit<ChangeScenarioOptions, "temporaryFolder"> = {},
): Promise<FoundSeed | null> {
	return withFolder(async (temporaryFolder) => {
		for (const seed of seeds) {
			const error = await runChangeSeed(seed, { ...options, temporaryFolder });
			if (error !== null) return { seed, error };
		}
		return null;
	});
}

/** Runs seeds and throws the trace of the first that breaks a law: the same seed breaks it again. */
export async function expectNoChangeLawBroken(
	seeds: readonly number[],
	options: Omit<ChangeScenarioOptions, "temporaryFolder"> = {},
): Promise<void> {
	const found = await findChangeSeed(seeds, options);
	if (found === null) return;
	const trace: string[] = [];
	const error = await withFolder((temporaryFolder) =>
		runChangeSeed(found.seed, { ...options, temporaryFolder, trace }),
	);
	throw new Error(
		[`SEED=${found.seed}`, ...trace, error === null ? "nothing went wrong" : (error.stack ?? error.message)].join("\n"),
	);
}
