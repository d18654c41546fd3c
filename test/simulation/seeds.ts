import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runSeed, type ScenarioOptions, traceSeed } from "./scenario.ts";

/** One seed of the environment instead of all: `SEED=17 npx vitest run test/simulation`. */
export const CHOSEN_SEED = process.env["SEED"] === undefined ? null : Number(process.env["SEED"]);

export interface FoundSeed {
	readonly seed: number;
	readonly error: Error;
}

/** Formats write files: in memory where the system has such a folder, since there are a hundred thousand of them. */
const PARENT = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/** Gives a folder for the work and removes it after it. */
export async function withFolder<T>(work: (temporaryFolder: string) => Promise<T>): Promise<T> {
	const folder = await mkdtemp(join(PARENT, "headrace-simulation-"));
	try {
		return await work(folder);
	} finally {
		await rm(folder, { recursive: true, force: true });
	}
}

/** The first of the seeds that breaks a law; null when none does. */
export async function findSeed(
	seeds: readonly number[],
	options: Omit<ScenarioOptions, "temporaryFolder">,
): Promise<FoundSeed | null> {
	return withFolder(async (temporaryFolder) => {
		for (const seed of seeds) {
			const error = await runSeed(seed, { ...options, temporaryFolder });
			if (error !== null) return { seed, error };
		}
		return null;
	});
}

/** Runs seeds and throws the trace of the first that breaks a law: the same seed breaks it again. */
export async function expectNoLawBroken(
	seeds: readonly number[],
	options: Omit<ScenarioOptions, "temporaryFolder"> = {},
): Promise<void> {
	const found = await findSeed(seeds, options);
	if (found === null) return;
	const trace = await withFolder((temporaryFolder) => traceSeed(found.seed, { ...options, temporaryFolder }));
	throw new Error(trace);
}

export function seedsFrom(first: number, count: number): number[] {
	return CHOSEN_SEED === null ? Array.from({ length: count }, (_, i) => first + i) : [CHOSEN_SEED];
}
