import assert from "node:assert/strict";
import { type ErrorCode, HeadraceError } from "../core/errors.ts";

/**
 * One behaviour of a port, for any test runner: `for (const c of suite) test(c.name, { skip: c.skip }, c.run)`.
 * It throws an AssertionError when the port does not behave so.
 */
export interface Case {
	readonly name: string;
	run(): Promise<void>;
	/** Why this system can't be asked; a runner skips the case and prints the reason. */
	readonly skip?: string;
}

/** A behaviour that a system does not have, and why. */
export interface Gap {
	/** The case's name. */
	readonly case: string;
	readonly reason: string;
}

/** What every suite is set up with: `open` gives a fresh fixture for each case, closed after it. */
export interface Setup<Fixture extends AsyncDisposable> {
	open(): Promise<Fixture>;
	readonly skip?: readonly Gap[];
}

export type CaseBody<Fixture> = (fixture: Fixture) => Promise<void>;

/**
 * Makes cases of bodies: each with a fixture of its own, so that none depends on another or on the order.
 * @throws E_INTERNAL when a gap names no case: it would hide that the case has another name now
 */
export function casesOf<Fixture extends AsyncDisposable>(
	setup: Setup<Fixture>,
	bodies: readonly (readonly [name: string, body: CaseBody<Fixture>])[],
): Case[] {
	const gaps = new Map((setup.skip ?? []).map((gap) => [gap.case, gap.reason]));
	for (const name of gaps.keys())
		if (!bodies.some(([other]) => other === name))
			throw new HeadraceError("E_INTERNAL", `a gap names the case "${name}", which does not exist`);
	return bodies.map(([name, body]) => {
		const reason = gaps.get(name);
		return {
			name,
			run: async () => {
				await using fixture = await setup.open();
				await body(fixture);
			},
			...(reason === undefined ? {} : { skip: reason }),
		};
	});
}

/** The case's name, with the reason behind it when it is skipped: what a runner prints. */
export function caseTitle({ name, skip }: Case): string {
	return skip === undefined ? name : `${name} (skipped: ${skip})`;
}

/** Asserts that it fails with one of the codes. */
export async function rejectsWith(codes: ErrorCode | readonly ErrorCode[], work: Promise<unknown>): Promise<void> {
	const wanted = typeof codes === "string" ? [codes] : codes;
	try {
		await work;
	} catch (error) {
		if (error instanceof HeadraceError && wanted.includes(error.code)) return;
		const found = error instanceof HeadraceError ? error.code : String(error);
		throw new assert.AssertionError({ message: `expected ${wanted.join(" or ")}, it failed with ${found}` });
	}
	throw new assert.AssertionError({ message: `expected ${wanted.join(" or ")}, it succeeded` });
}

/** Asserts that it ends within a time: what hangs must fail as a case, not stop the runner. */
export async function within<T>(milliseconds: number, what: string, work: Promise<T>): Promise<T> {
	let timer: NodeJS.Timeout | undefined;
	const late = new Promise<never>((_resolve, reject) => {
		timer = setTimeout(
			() => reject(new assert.AssertionError({ message: `${what} did not end within ${milliseconds} ms` })),
			milliseconds,
		);
	});
	try {
		return await Promise.race([work, late]);
	} finally {
		clearTimeout(timer);
	}
}
