import { hostname, userInfo } from "node:os";
import type { CheckedPipeline } from "../config/index.ts";
import { type HeadraceError, type Source, type StoredPosition, toHeadraceErrors } from "../core/index.ts";
import { CHANGES_STREAM } from "../flow/index.ts";
import type { ProjectState } from "../state/index.ts";
import type { ChangeStatus, PauseReport, PositionChanged, PositionRequest, StateReport } from "./api.ts";
import { askFollower } from "./change-requests.ts";
import { changeStatus, followsLog } from "./change-standing.ts";
import { withLease } from "./lease.ts";
import { changePosition } from "./position-changes.ts";
import { type LookedSource, lookAtSource, openSession } from "./session.ts";

/** What the verbs about change logs need of a project. */
export interface ChangeProject {
	readonly state: ProjectState;
	/** A source of the user's own instead of the pipeline's. */
	readonly source?: Source | undefined;
	readonly nowMs: () => number;
	readonly leaseMs: number;
}

/**
 * Changes the position of a pipeline's change log: by whoever follows it now, where that is a process of this project,
 * else here, which fences off followers elsewhere. Who asked for what is kept.
 */
export async function requestChange(
	project: ChangeProject,
	pipeline: CheckedPipeline,
	request: PositionRequest,
	signal: AbortSignal | undefined,
): Promise<PositionChanged> {
	const { state, source } = project;
	const isHeld = () => leaseIsHeld(state, pipeline);
	try {
		const asked = (await isHeld())
			? await askFollower(state.requests, pipeline.name, request, { isHeld, signal })
			: null;
		const changed =
			asked?.changed ??
			(await withLease(project, pipeline, signal === undefined ? {} : { signal }, async (held) => {
				await using session = await openSession(pipeline, {}, source);
				const result = await changePosition(session, request);
				await held.state.savePositions(pipeline.name, await session.destination.positions(pipeline.name));
				return result;
			}));
		await keepTrace(state, pipeline, request.kind, "done", detailOf(request, changed));
		return changed;
	} catch (thrown) {
		const [error] = toHeadraceErrors(thrown);
		await keepTrace(state, pipeline, request.kind, "failed", error?.code ?? "E_INTERNAL");
		throw thrown;
	}
}

/** Holds a pipeline, or lets it go on. */
export async function holdPipeline(
	{ state }: ChangeProject,
	pipeline: CheckedPipeline,
	isPaused: boolean,
): Promise<PauseReport> {
	const paused = isPaused ? { at: new Date().toISOString(), by: whoAsks(), reason: null } : null;
	await state.server.savePause(pipeline.name, paused);
	await keepTrace(state, pipeline, isPaused ? "pause" : "resume", "done", "the pipeline");
	let ended = false;
	const isHeld = () => leaseIsHeld(state, pipeline);
	if (isPaused && followsLog(pipeline) && (await isHeld()))
		try {
			ended = (await askFollower(state.requests, pipeline.name, { kind: "end" }, { isHeld })) !== null;
		} catch (thrown) {
			// A run that follows nothing now comes to its own end.
			if (!toHeadraceErrors(thrown).every((error: HeadraceError) => error.code === "E_BUSY")) throw thrown;
		}
	return { pipeline: pipeline.name, paused: paused && { at: paused.at, by: paused.by }, ended };
}

/** How a pipeline follows its log; the source is asked, the destination not. */
export async function changesOf(
	{ state, source: custom, nowMs }: ChangeProject,
	pipeline: CheckedPipeline,
	positions: readonly StoredPosition[],
): Promise<ChangeStatus | null> {
	if (!followsLog(pipeline)) return null;
	const known = positions.find(({ stream }) => stream === CHANGES_STREAM);
	const isHeld = await leaseIsHeld(state, pipeline);
	const now = { ms: nowMs(), isHeld, isPaused: (await pauseOf(state, pipeline)) !== null };
	let opened: LookedSource;
	try {
		opened = await lookAtSource(pipeline, custom);
	} catch (problem) {
		return await changeStatus(pipeline.name, known, { log: null, problem }, now);
	}
	await using looked = opened;
	return await changeStatus(pipeline.name, known, { log: looked.source.changeLog ?? null, problem: null }, now);
}

/** How far each stream was read, as the destination says; as it said last while a run holds the pipeline. */
export async function stateOf(project: ChangeProject, pipeline: CheckedPipeline): Promise<StateReport> {
	const { state } = project;
	const isHeld = await leaseIsHeld(state, pipeline);
	if (!isHeld) {
		await using session = await openSession(pipeline, {}, project.source);
		const rows = await session.destination.positions(pipeline.name);
		await state.savePositions(pipeline.name, rows);
	}
	const positions = await state.positions(pipeline.name);
	const log = await changesOf(project, pipeline, positions);
	return {
		pipeline: pipeline.name,
		is_held: isHeld,
		positions,
		log: log === null || log.position === null ? null : { at: log.position, tables: log.tables },
	};
}

/** Since when a pipeline is held, and by whom; null when it is not. */
export async function pauseOf(state: ProjectState, pipeline: Pick<CheckedPipeline, "name">) {
	return (await state.server.schedules()).find((row) => row.pipeline === pipeline.name)?.paused ?? null;
}

/** Whether a run of the pipeline goes on, anywhere. */
export async function leaseIsHeld(state: ProjectState, pipeline: Pick<CheckedPipeline, "name">): Promise<boolean> {
	return (await state.leaseHolder(`pipeline:${pipeline.name}`)) !== null;
}

function whoAsks(): string {
	try {
		return `${userInfo().username}@${hostname()}`;
	} catch {
		// A user id without a name, as in containers.
		return `uid ${process.getuid?.() ?? "?"}@${hostname()}`;
	}
}

function detailOf(request: PositionRequest, { position_before, position, tables }: PositionChanged): string {
	const about = request.kind === "set" ? `${position_before ?? "nothing"} to ${position}` : `at ${position}`;
	return `${about}${tables.length === 0 ? "" : `: ${tables.join(", ")}`}`;
}

async function keepTrace(
	state: ProjectState,
	pipeline: CheckedPipeline,
	action: string,
	outcome: "done" | "failed",
	detail: string,
): Promise<void> {
	await state.server.addAudit({
		at: new Date().toISOString(),
		who: whoAsks(),
		role: null,
		via: "command",
		address: null,
		action,
		subject: pipeline.name,
		outcome,
		detail,
	});
}
