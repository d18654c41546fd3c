import { type ErrorCode, HeadraceError, type PositionRow, type Snapshot } from "../../src/core/index.ts";
import { type FlowContext, runTable, type TableOutcome, type TableTask } from "../../src/flow/index.ts";
import { Invariants, Violation } from "./invariants.ts";
import { Random } from "./random.ts";
import { advance, type Doom, SimulatedProcess, settle } from "./scheduler.ts";
import { simulate } from "./simulate.ts";
import { type FlowPorts, Watch } from "./watch.ts";
import { CHUNK_ROWS, drawOptions, INTERVALS, PIPELINE, World, type WorldOptions } from "./world.ts";
import { Writer } from "./writer.ts";

/** Changes the ports of a process, between the flow and the points of failure: so a bug is planted. */
export type Plant = (ports: FlowPorts) => FlowPorts;

export interface ScenarioOptions {
	readonly temporaryFolder: string;
	/** A bug that the laws must find. */
	readonly plant?: Plant;
	/** Fixes what a seed would draw. */
	readonly world?: Partial<WorldOptions>;
	readonly trace?: string[];
}

/** Errors that a run may end with: it was fenced, stopped, or the faults outlasted its retries. */
const EXPECTED = new Set<ErrorCode>(["E_FENCED", "E_CONNECTION_LOST", "E_TIMEOUT", "E_CONFLICT", "E_STOPPED"]);
/** Where a process can fail; loading, which decides, is there twice. */
const POINTS = [
	"destination.takeOver",
	"source.snapshot",
	"snapshot.cursorMax",
	"destination.describe",
	"read.next",
	"destination.load",
	"destination.load",
	"destination.committed",
];
const STAGING_POINTS = [
	"staging.read",
	"staging.list",
	"staging.remove",
	"staging.create",
	"staged.commit",
	"staging.writeOnce",
	"staging.fetch",
];
/** Those of a load in chunks. */
const CHUNK_POINTS = ["snapshot.split", "snapshot.tableState", "snapshot.unchanged"];
const PART_POINTS = ["parts.find", "parts.begin", "parts.add", "parts.add", "parts.add", "parts.remove", "parts.load"];
const ATTEMPTS = 3;
const CHAOS_STEPS = 160;
const CALM_STEPS_MAX = 4_000;
/** Runs that may be needed when the faults stop: one may find what a fenced run left and give up. */
const CALM_RUNS_MAX = 2;
const RUNS_AT_ONCE = 2;

/** One world with its processes, from a seed: the same seed gives the same steps. */
class Scenario {
	readonly #random: Random;
	readonly #world: World;
	readonly #writer: Writer;
	readonly #invariants: Invariants;
	readonly #watch: Watch;
	readonly #plant: Plant;
	readonly #trace: string[] | undefined;
	#processes: SimulatedProcess[] = [];
	#failure: unknown = null;
	#runs = 0;

	constructor(seed: number, options: ScenarioOptions) {
		this.#random = new Random(seed);
		this.#world = new World({ ...drawOptions(this.#random), ...options.world }, options.temporaryFolder);
		this.#writer = new Writer(this.#world, this.#random);
		this.#invariants = new Invariants(this.#world, this.#writer);
		this.#watch = new Watch(this.#world, this.#invariants);
		this.#plant = options.plant ?? ((ports) => ports);
		this.#trace = options.trace;
		this.#note(
			`world ${JSON.stringify({ ...this.#world.options, resolution: String(this.#world.options.resolution) })}`,
		);
	}

	/** @throws Violation when a law is broken */
	async run(): Promise<void> {
		for (let step = 0; step < CHAOS_STEPS; step++) await this.#step();
		this.#writer.rest();
		this.#note("the faults stop");
		const zombies = this.#processes.filter((process) => process.alive);
		for (const process of zombies) {
			process.paused = true;
			process.spare();
		}
		await this.#converge();
		// Runs that slept through all of it wake up: none of them may still change anything.
		for (const process of zombies) process.paused = false;
		await this.#finish(zombies);
		this.#invariants.checkConverged();
		await this.#converge();
	}

	async #converge(): Promise<void> {
		for (let interval = 0; interval < (this.#byInterval ? INTERVALS : 1); interval++)
			for (let attempt = 1; ; attempt++) {
				const run = this.#start(this.#byInterval ? interval : null, "all", false, null);
				await this.#finish([run.process]);
				if (run.outcome !== null) break;
				if (attempt === CALM_RUNS_MAX) throw new Violation(`when the faults stop a run succeeds: ${run.error}`);
			}
		this.#invariants.checkConverged();
	}

	get #byInterval(): boolean {
		return this.#world.options.kind.startsWith("interval");
	}

	/** Lets these processes, and no others, go on to their end without faults. */
	async #finish(processes: readonly SimulatedProcess[]): Promise<void> {
		await settle(this.#processes);
		for (let step = 0; processes.some((process) => process.alive); step++) {
			if (step > CALM_STEPS_MAX) throw new Violation("a run ends");
			await this.#advanceOne(processes);
		}
	}

	/** One thing happens: a process goes on, the application writes, a run begins, sleeps, or is told to stop. */
	async #step(): Promise<void> {
		const random = this.#random;
		this.#world.clock += BigInt(random.integer(1, 400_000));
		const alive = this.#processes.filter((process) => process.alive);
		const overdue = this.#writer.endOverdue();
		if (overdue !== null || random.chance(0.2)) {
			this.#note(`the application ${overdue ?? this.#writer.act()}`);
			this.#invariants.check();
			return;
		}
		if (alive.length === 0 || (alive.length < RUNS_AT_ONCE && random.chance(alive[0]?.paused === true ? 0.3 : 0.03))) {
			const { staged, kind } = this.#world.options;
			const stage = staged ? random.pick(["all", "all", "extract", "load"] as const) : "all";
			const refresh = kind === "merge" || kind === "append" ? random.chance(0.1) : false;
			this.#start(this.#byInterval ? random.integer(0, INTERVALS - 1) : null, stage, refresh, this.#drawDoom());
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

	async #advanceOne(processes: readonly SimulatedProcess[]): Promise<void> {
		const ready = processes.filter((process) => process.alive && !process.paused);
		if (ready.length === 0) return;
		const process = this.#random.pick(ready);
		if (process.turns.length === 0) throw new Violation(`a run never hangs: ${process.name} waits for nothing`);
		this.#note(advance(process, this.#random));
		await settle(this.#processes);
		const failure = this.#failure ?? this.#watch.violation;
		if (failure !== null) throw failure;
		this.#invariants.check();
	}

	/** What will go wrong in a process: most have something. */
	#drawDoom(): Doom | null {
		const random = this.#random;
		if (random.chance(0.15)) return null;
		const { staged, chunked } = this.#world.options;
		const points = [...POINTS, ...(staged ? STAGING_POINTS : [])];
		if (chunked) points.push(...CHUNK_POINTS, ...(staged ? [] : PART_POINTS));
		return {
			label: random.pick(points),
			moment: random.pick(["before", "after"]),
			fault: random.pick(["kill", "error", "sleep"]),
			skipped: random.pick(chunked ? [0, 0, 1, 2, 3] : [0, 0, 0, 1]),
		};
	}

	/** A process that runs the table once, with retries, as the app does. */
	#start(interval: number | null, stage: FlowContext["stage"], fullRefresh: boolean, doom: Doom | null) {
		const process = new SimulatedProcess(`run${++this.#runs}`, doom);
		const run: { readonly process: SimulatedProcess; outcome: TableOutcome | null; error: string } = {
			process,
			outcome: null,
			error: "it was killed",
		};
		this.#note(
			`${process.name} begins: ${stage}${interval === null ? "" : ` of interval ${interval}`}${fullRefresh ? ", full refresh" : ""}`,
		);
		this.#processes = [...this.#processes.filter((other) => other.alive), process];
		this.#work(process, interval, stage, fullRefresh)
			.then(
				(outcome) => {
					run.outcome = outcome;
					this.#note(`${process.name} ends at ${outcome.position}, ${outcome.rowsLoaded} rows`);
				},
				(error: unknown) => {
					run.error = error instanceof HeadraceError ? `${error.code} ${error.message}` : String(error);
					this.#note(`${process.name} fails: ${run.error}`);
					if (!(error instanceof HeadraceError && EXPECTED.has(error.code))) this.#failure ??= error;
				},
			)
			.finally(() => {
				process.ended = true;
			});
		return run;
	}

	async #work(process: SimulatedProcess, interval: number | null, stage: FlowContext["stage"], fullRefresh: boolean) {
		const task = await this.#world.task(interval, fullRefresh);
		const { source, destination, staging } = this.#portsOf(process, interval);
		for (let attempt = 1; ; attempt++)
			try {
				const rows = await destination.takeOver(PIPELINE, [task.stream]);
				const row = rows.get(task.stream) as PositionRow;
				const { staged, readers, chunked } = this.#world.options;
				const context: FlowContext = {
					pipeline: PIPELINE,
					runId: process.name,
					source,
					destination,
					staging: staged ? staging : null,
					format: staged ? this.#world.format : null,
					formats: [this.#world.format],
					stage,
					bufferBytesMax: 1 << 20,
					readers,
					...(chunked ? { chunkRows: CHUNK_ROWS } : {}),
					onEvent: () => {},
					signal: process.abort.signal,
				};
				const openSnapshot = (): Promise<Snapshot> => source.snapshot({ readers, signal: process.abort.signal });
				const outcome = await runTable(context, task, row, openSnapshot);
				this.#checkReceipt(process, stage, task, outcome);
				return outcome;
			} catch (error) {
				const again = error instanceof HeadraceError && error.reaction === "retry" && attempt < ATTEMPTS;
				if (!again) throw error;
				this.#note(`${process.name} tries again after ${error.code}`);
			}
	}

	#checkReceipt(process: SimulatedProcess, stage: FlowContext["stage"], task: TableTask, outcome: TableOutcome): void {
		const { rowsRead, rowsStaged, rowsLoaded, rowsRejected } = outcome;
		const loaded = stage === "extract" ? rowsRead : rowsLoaded + rowsRejected;
		if (rowsRead !== rowsStaged || rowsStaged !== loaded)
			throw new Violation(
				`a receipt balances: ${process.name} read ${rowsRead}, staged ${rowsStaged}, loaded ${loaded}`,
			);
		const row = this.#watch.rowOf(task.stream);
		if (row?.epoch !== outcome.row.epoch) return;
		if (row.seq !== outcome.row.seq || row.position !== outcome.row.position)
			throw new Violation(`a run knows its position: ${process.name} thinks ${outcome.row.seq}, it is ${row.seq}`);
	}

	/** The process's way to the outside: failures are between the flow and the world, planted bugs above them. */
	#portsOf(process: SimulatedProcess, interval: number | null): FlowPorts {
		const { source, destination, staging } = this.#watch.ports(interval);
		return this.#plant({
			source: simulate("source", source, process),
			destination: simulate("destination", destination, process),
			staging: simulate("staging", staging, process),
		});
	}

	#note(line: string): void {
		this.#trace?.push(`${this.#world.clock} ${line}`);
	}
}

/** Runs a seed to its end. Gives null, or what went wrong. */
export async function runSeed(seed: number, options: ScenarioOptions): Promise<Error | null> {
	try {
		await new Scenario(seed, options).run();
		return null;
	} catch (error) {
		return error instanceof Error ? error : new Error(String(error));
	}
}

/** The steps of a seed, each a line, up to what went wrong. */
export async function traceSeed(seed: number, options: ScenarioOptions): Promise<string> {
	const trace: string[] = [];
	const error = await runSeed(seed, { ...options, trace });
	return [`SEED=${seed}`, ...trace, error === null ? "nothing went wrong" : (error.stack ?? error.message)].join("\n");
}
