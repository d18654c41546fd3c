import { type ErrorCode, encodePosition, HeadraceError } from "../../../src/core/index.ts";
import {
	CHANGES_STREAM,
	captureChanges,
	caughtUp,
	changesPosition,
	type FlowContext,
	pauseTable,
	resumeTable,
	type TableTask,
	withoutTable,
} from "../../../src/flow/index.ts";
import { Violation } from "../invariants.ts";
import { Random } from "../random.ts";
import { advance, type Doom, SimulatedProcess, settle } from "../scheduler.ts";
import { simulate } from "../simulate.ts";
import type { FlowPorts } from "../watch.ts";
import { ChangeLaws } from "./laws.ts";
import { CHUNK_ROWS, ChangeWorld, type ChangeWorldOptions, drawChangeOptions, PIPELINE } from "./world.ts";
import { ChangeWriter } from "./writer.ts";

export interface ChangeScenarioOptions {
	readonly temporaryFolder: string;
	/** A bug that the laws must find. */
	readonly plant?: (ports: FlowPorts) => FlowPorts;
	/** Fixes what a seed would draw. */
	readonly world?: Partial<ChangeWorldOptions>;
	readonly trace?: string[];
}

/** Errors that a run may end with: it was fenced, stopped, or the faults outlasted its retries. */
const EXPECTED = new Set<ErrorCode>(["E_FENCED", "E_CONNECTION_LOST", "E_TIMEOUT", "E_CONFLICT", "E_STOPPED"]);
/** Errors that ask for tables to be read anew, in place of a guess. */
const READ_ANEW = new Set<ErrorCode>(["E_HISTORY_GONE", "E_BASE_MISSING", "E_SLOT_AHEAD"]);
/** Where a process can fail. */
const POINTS = [
	"destination.takeOver",
	"source.snapshot",
	"snapshot.logPlace",
	"read.next",
	"destination.load",
	"destination.committed",
	"log.end",
	"log.open",
	"stream.next",
	"stream.next",
	"stream.acknowledge",
	"changes.apply",
	"changes.apply",
	"changes.apply",
	"changes.apply",
];
const SLOT_POINTS = ["log.begin", "log.forget"];
const CHUNK_POINTS = ["snapshot.split", "snapshot.unchanged", "parts.begin", "parts.add", "parts.add", "parts.load"];
const STAGING_POINTS = ["staging.list", "staged.commit", "staging.writeOnce", "staging.fetch", "staging.remove"];
const ATTEMPTS = 3;
const CHAOS_STEPS = 220;
const CALM_STEPS_MAX = 4_000;
/** Runs that may be needed when the faults stop: one finds that tables must be read anew, the next one does it. */
const CALM_RUNS_MAX = 3;
const RUNS_AT_ONCE = 2;

type Operation = "pause" | "resume" | "resync";

/** One world whose log is followed, from a seed: the same seed gives the same steps. */
class ChangeScenario {
	readonly #random: Random;
	readonly #world: ChangeWorld;
	readonly #writer: ChangeWriter;
	readonly #laws: ChangeLaws;
	readonly #plant: (ports: FlowPorts) => FlowPorts;
	readonly #trace: string[] | undefined;
	#processes: SimulatedProcess[] = [];
	/** Tables that a run found to need it. */
	#toRefresh = new Set<string>();
	#failure: unknown = null;
	#runs = 0;

	constructor(seed: number, options: ChangeScenarioOptions) {
		this.#random = new Random(seed);
		this.#world = new ChangeWorld({ ...drawChangeOptions(this.#random), ...options.world }, options.temporaryFolder);
		this.#writer = new ChangeWriter(this.#world, this.#random);
		this.#laws = new ChangeLaws(this.#world, this.#writer);
		this.#plant = options.plant ?? ((ports) => ports);
		this.#trace = options.trace;
		this.#world.whileOpening = () => {
			if (this.#random.chance(0.5)) this.#note(`while a view is opened the application ${this.#writer.act()}`);
		};
		this.#note(`world ${JSON.stringify(this.#world.options)}`);
	}

	/** @throws Violation when a law is broken */
	async run(): Promise<void> {
		for (let step = 0; step < CHAOS_STEPS; step++) await this.#step();
		this.#writer.rest();
		this.#world.whileOpening = () => {};
		this.#note("the faults stop");
		const zombies = this.#processes.filter((process) => process.alive);
		for (const process of zombies) {
			process.paused = true;
			process.spare();
		}
		await this.#converge();
		// Runs that slept through all of it wake up: none of them may still change anything.
		for (const process of zombies) process.paused = false;
		await this.#finish(zombies, true);
		await this.#converge();
	}

	async #converge(): Promise<void> {
		const resuming = this.#operate(
			"resume",
			this.#world.tables.map(({ name }) => name.name),
			null,
		);
		await this.#finish([resuming]);
		for (let attempt = 1; ; attempt++) {
			const run = this.#start(new Set(), null);
			await this.#finish([run.process]);
			if (run.isDone) break;
			if (attempt === CALM_RUNS_MAX) throw new Violation(`when the faults stop a run succeeds: ${run.error}`);
		}
		this.#laws.checkConverged();
	}

	/** Lets these processes, and no others, go on to their end without faults. */
	async #finish(processes: readonly SimulatedProcess[], stops = false): Promise<void> {
		await settle(this.#processes);
		for (let step = 0; processes.some((process) => process.alive); step++) {
			if (step > CALM_STEPS_MAX) throw new Violation("a run ends");
			// What follows without an end is told to.
			if (stops) for (const process of processes) if (process.waiting > 0) process.abort.abort();
			await this.#advanceOne(processes);
		}
	}

	/** One thing happens: a process goes on, the application writes, a run begins, sleeps, or is told to stop. */
	async #step(): Promise<void> {
		const random = this.#random;
		this.#world.clock += BigInt(random.integer(1, 400_000));
		const alive = this.#processes.filter((process) => process.alive);
		if (random.chance(0.25)) {
			this.#note(`the application ${this.#writer.act()}`);
			this.#laws.check();
			if (alive.some(({ waiting }) => waiting > 0)) await settle(this.#processes);
			return;
		}
		if (this.#world.options.purges && random.chance(0.005)) return this.#purge();
		if (alive.length === 0 || (alive.length < RUNS_AT_ONCE && random.chance(alive[0]?.paused === true ? 0.3 : 0.03))) {
			const refreshed = random.chance(0.12) ? [random.pick(this.#world.tables).name.name] : [];
			this.#start(new Set(refreshed), this.#drawDoom(), random.chance(0.25));
			return settle(this.#processes);
		}
		if (alive.length < RUNS_AT_ONCE && random.chance(0.02)) {
			this.#operate(
				random.pick(["pause", "resume", "resync"]),
				[random.pick(this.#world.tables).name.name],
				this.#drawDoom(),
			);
			return settle(this.#processes);
		}
		const sleeper = alive.find((process) => process.paused);
		if (sleeper !== undefined && random.chance(0.03)) {
			sleeper.paused = false;
			this.#note(`${sleeper.name} wakes`);
		}
		if (random.chance(0.004)) {
			const process = random.pick(alive);
			process.abort.abort();
			this.#note(`${process.name} is told to stop`);
		}
		await this.#advanceOne(alive);
	}

	#purge(): void {
		this.#laws.noteLog();
		const { log } = this.#world.database;
		const upTo = this.#random.integer(log.beginning, log.end);
		log.purge(upTo);
		this.#note(`the source forgets its log up to ${upTo}`);
	}

	async #advanceOne(processes: readonly SimulatedProcess[]): Promise<void> {
		const ready = processes.filter((process) => process.alive && !process.paused);
		if (ready.length === 0) return;
		const process = this.#random.pick(ready);
		if (process.turns.length === 0) {
			if (process.waiting > 0) return settle(this.#processes);
			throw new Violation(`a run never hangs: ${process.name} waits for nothing`);
		}
		this.#note(advance(process, this.#random));
		await settle(this.#processes);
		if (this.#failure !== null) throw this.#failure;
		this.#laws.check();
	}

	/** What will go wrong in a process: most have something. */
	#drawDoom(): Doom | null {
		const random = this.#random;
		if (random.chance(0.15)) return null;
		const { staged, chunked, cuts } = this.#world.options;
		const points = [...POINTS];
		if (chunked) points.push(...CHUNK_POINTS);
		if (staged) points.push(...STAGING_POINTS);
		if (cuts === "slots") points.push(...SLOT_POINTS);
		return {
			label: random.pick(points),
			moment: random.pick(["before", "after"]),
			fault: random.pick(["kill", "error", "sleep"]),
			skipped: random.pick([0, 0, 1, 2, 3]),
		};
	}

	/** A process that follows the log to its end, with retries, as the app does. */
	#start(refreshed: ReadonlySet<string>, doom: Doom | null, follows = false) {
		const process = new SimulatedProcess(`run${++this.#runs}`, doom);
		const run = { process, isDone: false, error: "it was killed" };
		const anew = new Set([...refreshed, ...this.#toRefresh]);
		this.#note(
			`${process.name} begins${follows ? ", without an end" : ""}${anew.size === 0 ? "" : `, reads ${[...anew].join(", ")} anew`}`,
		);
		this.#processes = [...this.#processes.filter((other) => other.alive), process];
		this.#work(process, anew, follows)
			.then(
				() => {
					run.isDone = true;
					this.#toRefresh = new Set([...this.#toRefresh].filter((name) => !anew.has(name)));
					this.#note(`${process.name} ends`);
				},
				(error: unknown) => {
					run.error = error instanceof HeadraceError ? `${error.code} ${error.message}` : String(error);
					this.#note(`${process.name} fails: ${run.error}`);
					if (error instanceof HeadraceError && READ_ANEW.has(error.code))
						for (const { name } of this.#world.tables) this.#toRefresh.add(name.name);
					else if (!(error instanceof HeadraceError && EXPECTED.has(error.code))) this.#failure ??= error;
				},
			)
			.finally(() => {
				process.ended = true;
			});
		return run;
	}

	/** Somebody pauses tables, lets them go on, or wants them read anew: by the position, as `headrace pause` does. */
	#operate(kind: Operation, tables: readonly string[], doom: Doom | null): SimulatedProcess {
		const process = new SimulatedProcess(`${kind}${++this.#runs}`, doom);
		this.#note(`${process.name} begins: ${tables.join(", ")}`);
		this.#processes = [...this.#processes.filter((other) => other.alive), process];
		this.#changePosition(process, kind, tables)
			.catch((error: unknown) => {
				this.#note(`${process.name} fails: ${String(error)}`);
				if (!(error instanceof HeadraceError && EXPECTED.has(error.code))) this.#failure ??= error;
			})
			.finally(() => {
				process.ended = true;
			});
		return process;
	}

	async #changePosition(process: SimulatedProcess, kind: Operation, tables: readonly string[]): Promise<void> {
		const { source, destination } = this.#portsOf(process);
		const row = (await destination.takeOver(PIPELINE, [CHANGES_STREAM])).get(CHANGES_STREAM)!;
		const before = changesPosition(row);
		if (before === null) return;
		let after = before;
		for (const name of tables) {
			const table = `main.${name}`;
			if (kind === "pause") after = pauseTable(after, table);
			else if (kind === "resume") after = resumeTable(after, table, source.changeLog!);
			else after = caughtUp(withoutTable(after, table), source.changeLog!);
		}
		const toPosition = encodePosition(after);
		if (toPosition === row.position) return;
		await destination.changes!.apply({
			pipeline: PIPELINE,
			stream: CHANGES_STREAM,
			loadId: `${process.name}:${row.seq}`,
			epoch: row.epoch,
			seq: row.seq,
			fromPosition: row.position,
			toPosition,
			schemaVersion: "",
			parts: [],
			bufferBytesMax: 1 << 20,
		});
	}

	async #work(process: SimulatedProcess, refreshed: ReadonlySet<string>, follow: boolean): Promise<void> {
		const { source, destination, staging } = this.#portsOf(process);
		const { staged, flushRows, chunked, concurrency } = this.#world.options;
		const flow: FlowContext = {
			pipeline: PIPELINE,
			runId: process.name,
			source,
			destination,
			staging: staged ? staging : null,
			format: staged ? this.#world.format : null,
			formats: [this.#world.format],
			stage: "all",
			// Nothing is spooled: a file on the disk is no part of this.
			bufferBytesMax: 1 << 30,
			readers: 1,
			...(chunked ? { chunkRows: CHUNK_ROWS } : {}),
			onEvent: () => {},
			signal: process.abort.signal,
		};
		let tasks: readonly TableTask[] = await this.#world.tasks(refreshed);
		for (let attempt = 1; ; attempt++)
			try {
				const rows = await destination.takeOver(PIPELINE, [CHANGES_STREAM, ...tasks.map(({ stream }) => stream)]);
				await captureChanges(
					{
						...flow,
						log: source.changeLog!,
						changes: destination.changes!,
						reader: PIPELINE,
						flush: { seconds: 1, rows: flushRows, bytes: 1 << 20 },
						follow,
						concurrency,
						temporaryDirectory: this.#world.temporaryFolder,
						tableContext: () => flow,
						replan: () => this.#world.tasks(new Set()),
						onOutcome: () => {},
						takeOver: (streams) => destination.takeOver(PIPELINE, streams),
					},
					tasks,
					rows,
				);
				return;
			} catch (error) {
				const again = error instanceof HeadraceError && error.reaction === "retry" && attempt < ATTEMPTS;
				if (!again) throw error;
				this.#note(`${process.name} tries again after ${error.code}`);
				tasks = await this.#world.tasks(new Set());
			}
	}

	/** The process's way to the outside: failures are between the flow and the world, planted bugs above them. */
	#portsOf(process: SimulatedProcess): FlowPorts {
		const { source, destination, staging } = this.#world.ports();
		return this.#plant({
			source: simulate("source", source, process),
			destination: simulate("destination", destination, process),
			staging: simulate("staging", staging, process),
		});
	}

	#note(line: string): void {
		this.#trace?.push(`${this.#world.clock} [${this.#world.database.log.end}] ${line}`);
	}
}

/** Runs a seed to its end. Gives null, or what went wrong. */
export async function runChangeSeed(seed: number, options: ChangeScenarioOptions): Promise<Error | null> {
	try {
		await new ChangeScenario(seed, options).run();
		return null;
	} catch (error) {
		return error instanceof Error ? error : new Error(String(error));
	}
}
