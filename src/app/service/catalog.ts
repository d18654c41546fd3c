import { readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import {
	type CheckedPipeline,
	type Env,
	intervalBoundaries,
	listPipelines,
	loadPipeline,
	type Schedule,
} from "../../config/index.ts";
import { HeadraceError, toHeadraceErrors } from "../../core/index.ts";
import type { Redactor } from "../../observe/index.ts";
import { cronTimetable, everyTimetable, type Timetable } from "../../schedule/index.ts";

/** A pipeline's file, whether it is sound or not. */
export interface CatalogEntry {
	/** The pipeline's name; of a broken file the file's. */
	readonly name: string;
	/** Absolute. */
	readonly file: string;
	/** Null when the file is broken: `errors` say why. */
	readonly pipeline: CheckedPipeline | null;
	readonly errors: readonly HeadraceError[];
	/** Null without a schedule, and for `continuous`. */
	readonly timetable: Timetable | null;
	/** Changes with what the file says. */
	readonly fingerprint: string;
}

export interface CatalogOptions {
	/** The project's folder. */
	readonly directory: string;
	readonly env: Env;
	/** Learns the secrets of the pipelines. */
	readonly redactor: Redactor;
}

/**
 * The pipelines of a project, read anew when a YAML file of it has changed. A broken one is kept with its faults and
 * stops no other.
 */
export class Catalog {
	readonly #options: CatalogOptions;
	#entries: ReadonlyMap<string, CatalogEntry> = new Map();
	#seen: string | null = null;

	constructor(options: CatalogOptions) {
		this.#options = options;
	}

	/** By name. */
	get entries(): ReadonlyMap<string, CatalogEntry> {
		return this.#entries;
	}

	/**
	 * @throws E_FILE_NOT_FOUND when there is none, HeadraceErrors with the faults of its file
	 */
	pipeline(name: string): CheckedPipeline {
		const entry = this.#entries.get(name);
		if (entry === undefined)
			throw new HeadraceError("E_FILE_NOT_FOUND", `there is no pipeline ${JSON.stringify(name.slice(0, 200))}`, {
				hint: "Its file is gone, or was never there.",
			});
		if (entry.pipeline === null) throw entry.errors[0] ?? new HeadraceError("E_YAML", `${entry.file} is broken`);
		return entry.pipeline;
	}

	/**
	 * Looks whether a file has changed, by its time and size, and reads all of them then: cheap enough for every other
	 * second, and it works where no file system tells of changes. Gives the names that changed, came or went.
	 */
	async refresh(): Promise<readonly string[]> {
		const { directory } = this.#options;
		const seen = fingerprint(directory);
		if (seen === this.#seen) return [];
		const entries = new Map<string, CatalogEntry>();
		for (const { name, file } of listPipelines(directory)) {
			const entry = await this.#entry(name, file);
			const other = entries.get(entry.name);
			if (other === undefined) entries.set(entry.name, entry);
			else entries.set(file, twice(entry, other));
		}
		const before = this.#entries;
		this.#entries = entries;
		this.#seen = seen;
		const names = new Set([...before.keys(), ...entries.keys()]);
		return [...names].filter((name) => before.get(name)?.fingerprint !== entries.get(name)?.fingerprint);
	}

	async #entry(fileName: string, file: string): Promise<CatalogEntry> {
		const { directory, env, redactor } = this.#options;
		try {
			const pipeline = await loadPipeline(directory, file, { env });
			redactor.addFrom(pipeline);
			const { name } = pipeline;
			const timetable = await timetableOf(pipeline.schedule, pipeline.timezone);
			return { name, file, pipeline, errors: [], timetable, fingerprint: marks(pipeline) };
		} catch (thrown) {
			const errors = toHeadraceErrors(thrown);
			const told = errors.map((error) => `${error.message} ${error.place.line}`).join("\n");
			return { name: fileName, file, pipeline: null, errors, timetable: null, fingerprint: told };
		}
	}
}

/** The times of a schedule; null for `continuous` and for none. */
export async function timetableOf(schedule: Schedule | undefined, timezone: string): Promise<Timetable | null> {
	if (schedule === undefined || schedule.kind === "continuous") return null;
	if (schedule.kind === "cron") return cronTimetable(schedule.fields, timezone);
	return everyTimetable(schedule.everyMs, intervalBoundaries(schedule, timezone));
}

function twice(entry: CatalogEntry, other: CatalogEntry): CatalogEntry {
	const error = new HeadraceError("E_NAME_COLLISION", `${other.file} has a pipeline ${entry.name} too`, {
		file: entry.file,
		hint: "Give one of them another name by `pipeline:`.",
	});
	return { ...entry, name: entry.file, pipeline: null, timetable: null, errors: [error], fingerprint: error.message };
}

/** Names, times and sizes of the files that a project's configuration may be in. */
function fingerprint(directory: string): string {
	const root = resolve(directory);
	return [root, join(root, "pipelines"), join(root, "..")]
		.flatMap((folder, index) => {
			try {
				return readdirSync(folder)
					.filter((name) => (index === 2 ? /^(?:connections|alerts)\.ya?ml$/ : /\.ya?ml$/).test(name))
					.map((name) => {
						const { mtimeMs, size, ino } = statSync(join(folder, name));
						return `${folder}/${name} ${mtimeMs} ${size} ${ino}`;
					});
			} catch {
				// A folder that is not there has no files; a file that goes away meanwhile is seen at the next look.
				return [];
			}
		})
		.sort()
		.join("\n");
}

/** What a pipeline is, as text; secrets give `***`, so that a new one alone is taken with the next change. */
function marks(pipeline: CheckedPipeline): string {
	return JSON.stringify(pipeline, (_key, value: unknown) => (value instanceof Map ? [...value] : value));
}
