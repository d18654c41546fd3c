import { HeadraceError } from "../../src/core/index.ts";
import type { Random } from "./random.ts";

export type Fault = "kill" | "error" | "sleep";

/** What goes wrong in a process, and where: so that every point meets every fault, however rarely it is passed. */
export interface Doom {
	readonly label: string;
	/** Before the effect, or after it: then only its answer is lost. */
	readonly moment: "before" | "after";
	readonly fault: Fault;
	/** Passings before it. */
	readonly skipped: number;
}

interface Turn {
	readonly label: string;
	readonly moment: "before" | "after";
	readonly go: () => void;
	readonly fail: (error: HeadraceError) => void;
}

/**
 * A process of the simulated machine. It goes on only when the scheduler lets it; when it is killed, everything that
 * it had in memory is gone: no promise of it settles any more, and no `catch` or `finally` of it runs.
 */
export class SimulatedProcess {
	readonly name: string;
	readonly abort = new AbortController();
	paused = false;
	killed = false;
	ended = false;
	readonly turns: Turn[] = [];
	/** Calls that may take as long as the world likes: what follows a log waits for what comes. */
	waiting = 0;
	#doom: Doom | null;
	#skipped = 0;

	constructor(name: string, doom: Doom | null) {
		this.name = name;
		this.#doom = doom;
	}

	/** The fault that is due at this point, if any; it comes once. */
	faultAt(label: string, moment: Turn["moment"]): Fault | null {
		const doom = this.#doom;
		if (doom === null || doom.label !== label || doom.moment !== moment || this.#skipped++ < doom.skipped) return null;
		this.#doom = null;
		return doom.fault;
	}

	/** From now on nothing goes wrong. */
	spare(): void {
		this.#doom = null;
	}

	get alive(): boolean {
		return !this.killed && !this.ended;
	}

	/** One call to the outside: a turn before its effect and a turn before its answer. */
	async call<T>(label: string, effect: () => Promise<T> | T): Promise<T> {
		await this.#turn(label, "before");
		const answer = await (label === "stream.next" ? this.#wait(effect) : effect());
		await this.#turn(label, "after");
		return answer;
	}

	async #wait<T>(effect: () => Promise<T> | T): Promise<T> {
		this.waiting++;
		try {
			return await effect();
		} finally {
			this.waiting--;
		}
	}

	#turn(label: string, moment: Turn["moment"]): Promise<void> {
		return new Promise<void>((go, fail) => {
			if (!this.killed) this.turns.push({ label, moment, go, fail });
		});
	}

	kill(): void {
		this.killed = true;
		this.turns.length = 0;
	}
}

/** Lets one turn of a process go on, or makes it fail there. Gives what it did, for the trace. */
export function advance(process: SimulatedProcess, random: Random): string {
	const index = random.integer(0, process.turns.length - 1);
	const turn = process.turns[index];
	if (turn === undefined) throw new Error(`${process.name} has no turn`);
	const { label, moment, go, fail } = turn;
	const where = `${process.name} ${moment} ${label}`;
	const fault = process.faultAt(label, moment);
	if (fault === "sleep") {
		process.paused = true;
		return `${where}: falls asleep`;
	}
	process.turns.splice(index, 1);
	if (fault === "kill") {
		process.kill();
		return `${where}: killed`;
	}
	if (fault === "error") {
		fail(
			moment === "before"
				? new HeadraceError("E_CONNECTION_LOST", `simulated: the connection broke before ${label}`)
				: new HeadraceError("E_TIMEOUT", `simulated: the answer to ${label} was lost`),
		);
		return `${where}: ${moment === "before" ? "error" : "answer lost"}`;
	}
	go();
	return where;
}

/** After so many microtasks a call that may wait does wait. */
const WAIT_MICROTASKS = 100;

/**
 * Lets the processes go on until each is at a turn or at its end. All of that is microtasks, so it needs no turn of the
 * event loop, which would cost more than the rest; only one that hangs gets there.
 */
export async function settle(processes: readonly SimulatedProcess[]): Promise<void> {
	for (let i = 0; i < 500; i++) {
		await null;
		const mayWait = i > WAIT_MICROTASKS;
		if (processes.every(({ alive, turns, waiting }) => !alive || turns.length > 0 || (mayWait && waiting > 0))) return;
	}
	await new Promise((resolve) => setImmediate(resolve));
}
