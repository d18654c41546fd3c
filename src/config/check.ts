import { type ErrorPlace, type HeadraceError, HeadraceErrors } from "../core/errors.ts";
import { type AlertsFile, checkAlerts, checkAlertsFile } from "./check-alerts.ts";
import type { TemplateCheck } from "./check-policy.ts";
import { checkSettings, type Settings } from "./check-settings.ts";
import { checkTables } from "./check-tables.ts";
import { type Connections, collecting, connectionFor } from "./connections.ts";
import { faultsOfShape, invalidValue } from "./issues.ts";
import { type PipelineOptions, pipelineOptions } from "./options.ts";
import type { CheckedPipeline, Connection, TableRule } from "./pipeline.ts";
import { type Path, type Positions, sortByPlace } from "./positions.ts";
import type { ReferenceScope } from "./references.ts";
import { resolveReferences } from "./resolve.ts";
import { unfitStaging } from "./staging.ts";
import { BASE_TYPES, mergeOptions, typePolicy } from "./table-options.ts";

export interface CheckInput {
	/** The root of a pipeline file, references not resolved. */
	readonly value: unknown;
	readonly positions: Positions;
	/** Name when `pipeline:` is not written. */
	readonly name: string;
	readonly file?: string;
	readonly scope: ReferenceScope;
	/** Called once a connection is needed; may throw HeadraceErrors. */
	readonly connections: () => Connections;
	/** The project's alerts.yaml; asked for when the pipeline has no `alerts` of its own. May throw HeadraceErrors. */
	readonly projectAlerts?: () => AlertsFile | undefined;
	/** Faults found before, thrown with the others. */
	readonly faults: readonly HeadraceError[];
	/** Checks templates of queries and conditions; absent when the file has none. */
	readonly checkTemplate?: TemplateCheck | undefined;
}

const ADDRESS_KEYS: Path = ["from", "to", "staging"];

/**
 * Checks everything that can be known without connecting and fills the defaults in.
 * @throws HeadraceErrors with every fault, sorted by place
 */
export function checkPipeline(input: CheckInput): CheckedPipeline {
	const { positions, scope } = input;
	const faults = [...input.faults];
	const keepRaw = (path: Path) => path.length === 1 && ADDRESS_KEYS.includes(path[0]!);
	const resolved = resolveReferences(input.value, scope, positions, [], keepRaw);
	faults.push(...resolved.faults);
	// What is broken is reported and left out; the rest is looked at still, so that all faults come at once.
	const shape = faultsOfShape(pipelineOptions, resolved.value, positions);
	const unresolved = new Set(resolved.failed.map((path) => JSON.stringify(path)));
	faults.push(...shape.filter(({ path }) => !unresolved.has(JSON.stringify(path))).map((each) => each.error));
	const broken = [...shape.map((each) => each.path), ...resolved.failed];
	const sound = without(resolved.value, broken) as Partial<PipelineOptions>;

	const connect = (key: "from" | "to" | "staging"): Connection | undefined => {
		const text = sound[key];
		if (text === undefined) return undefined;
		return collecting(faults, () => connectionFor(text, input.connections(), scope, positions.value([key])));
	};
	const from = connect("from");
	const to = connect("to");
	const staging = connect("staging");
	const unfit =
		to === undefined || (staging === undefined && sound.staging !== undefined) ? null : unfitStaging(to, staging);
	if (unfit !== null) faults.push(invalidValue(unfit.message, positions.value([unfit.key])));

	const settings = checkSettings(sound, input, faults);
	const types = typePolicy(BASE_TYPES, sound.types);
	const base = { types, defaults: sound.defaults ?? {}, origin: resolved.origin };
	const context = {
		base,
		positions,
		settings,
		check: input.checkTemplate,
		defaultsKnown: broken.every((path) => path[0] !== "defaults"),
		files: from?.type === "file" || from?.type === "s3",
	};
	const tables = checkTables(sound.tables ?? {}, context, faults);
	checkContinuous(
		{ settings, tables, whole: broken.every(([key]) => key !== "tables" && key !== "defaults") },
		input,
		faults,
	);
	const alerts = alertsOf(input, sound.alerts, resolved.origin, faults);
	if (faults.length > 0 || from === undefined || to === undefined) throw new HeadraceErrors(distinct(faults));
	return assemble({ input, settings, from, to, staging, tables, types, defaults: mergeOptions({}, [], base), alerts });
}

/** `schedule: continuous` follows a change log: without a table that reads one there is nothing to follow. */
function checkContinuous(
	{ settings, tables, whole }: { settings: Settings; tables: readonly TableRule[]; whole: boolean },
	{ positions }: CheckInput,
	faults: HeadraceError[],
): void {
	// A broken entry may have been the one with mode cdc.
	if (settings.schedule?.kind !== "continuous" || !whole) return;
	if (tables.some((rule) => !rule.skip && rule.options.mode === "cdc")) return;
	faults.push(
		invalidValue(
			"schedule is continuous, which follows the change log, and no table has mode cdc: give one `mode: cdc`, or take `every 5m` or cron",
			positions.value(["schedule"]),
		),
	);
}

interface Parts {
	readonly input: CheckInput;
	readonly settings: Settings;
	readonly from: Connection;
	readonly to: Connection;
	readonly staging: Connection | undefined;
	readonly tables: readonly TableRule[];
	readonly types: CheckedPipeline["types"];
	readonly defaults: CheckedPipeline["defaults"];
	readonly alerts: CheckedPipeline["alerts"];
}

/** The pipeline's own channels, else the project's. */
function alertsOf(
	{ value, positions, scope, projectAlerts }: CheckInput,
	own: PipelineOptions["alerts"],
	origin: (path: Path) => string | undefined,
	faults: HeadraceError[],
): CheckedPipeline["alerts"] {
	if (typeof value === "object" && value !== null && "alerts" in value)
		return checkAlerts(own ?? [], { positions, origin, directory: scope.directory }, faults);
	const file = collecting(faults, () => projectAlerts?.());
	return file === undefined ? [] : checkAlertsFile(file, scope, faults);
}

function assemble({ input, settings, staging, ...parts }: Parts): CheckedPipeline {
	return {
		...settings,
		...parts,
		...(input.file !== undefined && { file: input.file }),
		directory: input.scope.directory,
		...(staging !== undefined && { staging }),
	};
}

/** The value without its broken parts: an entry of `tables`, else a key of the root. */
function without(value: unknown, broken: readonly Path[]): unknown {
	const root = { ...(value as Record<string, unknown>) };
	for (const [key, entry] of broken) {
		const tables = root["tables"];
		if (key === "tables" && entry !== undefined && typeof tables === "object" && tables !== null) {
			const { [String(entry)]: _, ...rest } = tables as Record<string, unknown>;
			root["tables"] = rest;
		} else if (key !== undefined) delete root[String(key)];
	}
	return root;
}

/** Sorted by place; the same fault at the same place once, as one of `defaults` shows in every table. */
function distinct(faults: readonly HeadraceError[]): HeadraceError[] {
	const seen = new Set<string>();
	return sortByPlace(faults).filter((fault) => {
		const place: ErrorPlace = fault.place;
		const id = JSON.stringify([fault.code, fault.message, place.file, place.line, place.column]);
		return !seen.has(id) && seen.add(id);
	});
}
