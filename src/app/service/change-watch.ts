import type { CheckedPipeline } from "../../config/index.ts";
import {
	type ChangesPosition,
	decodePosition,
	HeadraceError,
	type LogHeadroom,
	type StoredPosition,
	toHeadraceErrors,
} from "../../core/index.ts";
import type { Clock } from "../../schedule/index.ts";
import type { ProjectState } from "../../state/index.ts";
import { readerHeadroom } from "../change-standing.ts";
import { leaseIsHeld } from "../change-verbs.ts";
import { openSource } from "../registry.ts";
import { connectionResources } from "./connection-test.ts";

/** How often a source is asked how far its log has gone. */
const MEASURE_MS = 60_000;
const MEASURE_MS_MAX = 20_000;

/** Where a pipeline's change stream stands, as far as it is known without asking. */
export interface ChangePlace {
	readonly position: ChangesPosition;
	/** ISO 8601, UTC: of the last commit in the destination. */
	readonly committedAt: string | null;
}

/** What the source said about its log. */
export interface ChangeMeasure {
	readonly atMs: number;
	readonly headroom: LogHeadroom | null;
	/** As the source writes them. */
	readonly position: string | null;
	readonly end: string | null;
	readonly error: HeadraceError | null;
}

/** How far change streams are behind, asked for at most once a minute and by one connection at a time. */
export class ChangeWatch {
	readonly #state: ProjectState;
	readonly #clock: Clock;
	readonly #measures = new Map<string, ChangeMeasure>();

	constructor(state: ProjectState, clock: Clock) {
		this.#state = state;
		this.#clock = clock;
	}

	/** The last answer; null when the source was not asked yet. */
	measure(pipeline: string): ChangeMeasure | null {
		return this.#measures.get(pipeline) ?? null;
	}

	async place(pipeline: string): Promise<ChangePlace | null> {
		return placeOf(await this.#state.positions(pipeline));
	}

	/** Seconds that the destination is behind: none when it has all of the log. Null when that is not known. */
	async lagSeconds(pipeline: string): Promise<number | null> {
		const measure = this.measure(pipeline);
		const now = this.#clock.nowMs();
		if (measure?.headroom?.bytesBehind === 0) return Math.max(0, (now - measure.atMs) / 1000);
		const committedAt = (await this.place(pipeline))?.committedAt ?? null;
		return committedAt === null ? null : Math.max(0, (now - timeOf(committedAt)) / 1000);
	}

	/** Asks the sources of these pipelines, those that were not asked within the minute. */
	async look(pipelines: readonly CheckedPipeline[]): Promise<void> {
		for (const pipeline of pipelines) {
			const asked = this.#measures.get(pipeline.name)?.atMs;
			const now = this.#clock.nowMs();
			if (asked !== undefined && now - asked < MEASURE_MS && now >= asked) continue;
			const place = await this.place(pipeline.name);
			if (place !== null) this.#measures.set(pipeline.name, await this.#ask(pipeline, place));
		}
	}

	async #ask(pipeline: CheckedPipeline, { position }: ChangePlace): Promise<ChangeMeasure> {
		const atMs = this.#clock.nowMs();
		try {
			await using source = await openSource(pipeline.from, await connectionResources(pipeline.directory));
			const { changeLog: changes } = source;
			if (changes === undefined) throw new HeadraceError("E_UNSUPPORTED", `${pipeline.from.name} has no change log`);
			const signal = AbortSignal.timeout(MEASURE_MS_MAX);
			const isFollowed = () => leaseIsHeld(this.#state, pipeline);
			const headroom = await readerHeadroom(changes, position.at, { reader: pipeline.name, isFollowed, signal });
			return {
				atMs,
				headroom,
				position: changes.format(position.at),
				end: changes.format(headroom.end),
				error: null,
			};
		} catch (thrown) {
			const [error = null] = toHeadraceErrors(thrown);
			return { atMs, headroom: null, position: null, end: null, error };
		}
	}
}

function placeOf(positions: readonly StoredPosition[]): ChangePlace | null {
	for (const { position, committedAt } of positions) {
		if (position === null) continue;
		try {
			const decoded = decodePosition(position);
			if (decoded.kind === "changes") return { position: decoded, committedAt };
		} catch {
			// Another version's position is none that can be shown.
		}
	}
	return null;
}

/** Destinations write times in their own form; without a zone they are UTC. */
export function timeOf(text: string): number {
	const iso = text.trim().replace(" ", "T");
	return Date.parse(/(?:Z|[+-]\d{2}(?::?\d{2})?)$/.test(iso) ? iso : `${iso}Z`);
}
