import { createHash } from "node:crypto";
import type { RunEvent } from "../core/events.ts";
import type { ReceiptError, RunReceipt, TableReceipt } from "../core/state-store.ts";
import type { LineageSettings } from "./lineage-settings.ts";

/** A table, file or object as OpenLineage names it: https://openlineage.io/docs/spec/naming */
export interface LineageDataset {
	readonly namespace: string;
	readonly name: string;
}

/** Where a table comes from and goes to. */
export interface LineageTable {
	readonly inputs: readonly LineageDataset[];
	readonly output: LineageDataset;
	/** Columns of the output; empty when they are not known before. */
	readonly columns: readonly LineageColumn[];
	readonly isStream: boolean;
}

export interface LineageColumn {
	readonly name: string;
	/** In the destination. */
	readonly type: string;
	/** Name and type in the source; null when it has no column of the source. */
	readonly from: { readonly name: string; readonly type: string } | null;
	/** Its values are hidden on the way. */
	readonly isMasked: boolean;
}

export interface LineageOptions {
	readonly settings: LineageSettings;
	readonly version: string;
	readonly redact: (text: string) => string;
	readonly send: (event: object) => void;
	readonly now?: () => Date;
}

const PRODUCER = "https://www.npmjs.com/package/headrace";
const SPEC = "https://openlineage.io/spec";
/** How often a table that is at work is told. */
const RUNNING_MS = 60_000;

type EventType = "START" | "RUNNING" | "COMPLETE" | "FAIL" | "ABORT";

/** A facet with the version of its definition: https://openlineage.io/docs/spec/facets */
function facet(definition: string, version: string, content: object): object {
	return {
		_producer: PRODUCER,
		_schemaURL: `${SPEC}/facets/${version}/${definition}.json#/$defs/${definition}`,
		...content,
	};
}

interface OpenTable {
	readonly startedAtMs: number;
	toldAtMs: number;
}

/**
 * Runs as events of OpenLineage: one job for the pipeline, in it one for each table, with its source and its table in the
 * destination as datasets: columns, where each comes from, rows and bytes; never a value.
 * See https://openlineage.io/docs/spec/object-model
 */
export class RunLineage {
	readonly #options: LineageOptions;
	readonly #now: () => Date;
	/** By run, then by table as receipts name it. */
	readonly #planned = new Map<string, ReadonlyMap<string, LineageTable>>();
	readonly #runs = new Map<string, { readonly run: RunReceipt; readonly tables: Map<string, OpenTable> }>();

	constructor(options: LineageOptions) {
		this.#options = options;
		this.#now = options.now ?? (() => new Date());
	}

	/** Told before the run's first event. */
	planned(runId: string, tables: ReadonlyMap<string, LineageTable>): void {
		this.#planned.set(runId, tables);
	}

	/** An event sink. Bound, so that it can be passed on. */
	readonly onEvent = (event: RunEvent): void => {
		switch (event.type) {
			case "run-started":
				this.#begin(event.run);
				return;
			case "table-started":
				this.#beginTable(event.runId, event.table);
				return;
			case "progress":
				this.#progress(event);
				return;
			case "table-finished":
				this.#endTable(event.runId, event.receipt);
				return;
			case "run-finished":
				this.ended(event.run);
		}
	};

	/** The end of a run, also of one that never began. */
	ended(run: RunReceipt): void {
		if (!this.#runs.has(run.run_id)) this.#begin(run);
		this.#runs.delete(run.run_id);
		this.#planned.delete(run.run_id);
		const error = run.error ?? run.tables.find(({ state }) => state === "failed")?.error ?? null;
		this.#send(typeOfEnd(run.state), run, null, { at: run.finished_at, error });
	}

	#begin(run: RunReceipt): void {
		this.#runs.set(run.run_id, { run, tables: new Map() });
		this.#send("START", run, null, { at: run.started_at });
	}

	#beginTable(runId: string, table: string): void {
		const open = this.#runs.get(runId);
		if (open === undefined || open.tables.has(table)) return;
		const at = this.#now();
		open.tables.set(table, { startedAtMs: at.getTime(), toldAtMs: at.getTime() });
		this.#send("START", open.run, table, { at: at.toISOString() });
	}

	#progress({ runId, table: stream, rows, bytes, phase }: Extract<RunEvent, { type: "progress" }>): void {
		const open = this.#runs.get(runId);
		// The stream of an interval is named `table@start`.
		const table = open?.tables.has(stream) === true ? stream : stream.slice(0, Math.max(0, stream.lastIndexOf("@")));
		const told = open?.tables.get(table);
		if (open === undefined || told === undefined) return;
		const at = this.#now();
		if (at.getTime() - told.toldAtMs < RUNNING_MS) return;
		told.toldAtMs = at.getTime();
		this.#send("RUNNING", open.run, table, {
			at: at.toISOString(),
			...(phase === "load" ? { loaded: { rows, bytes } } : { read: { rows, bytes } }),
		});
	}

	#endTable(runId: string, receipt: TableReceipt): void {
		const open = this.#runs.get(runId);
		// What was left out never was a run of its job.
		if (open === undefined || receipt.state === "skipped" || receipt.state === "pending") return;
		this.#beginTable(runId, receipt.table);
		open.tables.delete(receipt.table);
		const { error, rows_read, rows_loaded, bytes } = receipt;
		this.#send(typeOfEnd(receipt.state), open.run, receipt.table, {
			at: this.#now().toISOString(),
			error: receipt.state === "succeeded" ? null : error,
			read: { rows: rows_read, bytes },
			...(receipt.state === "succeeded" ? { loaded: { rows: rows_loaded, bytes } } : {}),
		});
	}

	#send(type: EventType, run: RunReceipt, table: string | null, told: Told): void {
		const { settings, send } = this.#options;
		const planned = table === null ? undefined : this.#planned.get(run.run_id)?.get(table);
		send({
			eventType: type,
			eventTime: told.at ?? this.#now().toISOString(),
			producer: PRODUCER,
			schemaURL: `${SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent`,
			run: { runId: uuidOf(run, table), facets: this.#runFacets(run, table, told) },
			job: {
				namespace: settings.namespace,
				name: jobName(run, table),
				facets: {
					jobType: facet("JobTypeJobFacet", "2-0-3", {
						processingType: planned?.isStream === true ? "STREAMING" : "BATCH",
						integration: "HEADRACE",
						jobType: table === null ? "PIPELINE" : "TABLE",
					}),
				},
			},
			inputs: (planned?.inputs ?? []).map((dataset) => inputOf(dataset, planned!, told)),
			// A stage that only extracts writes nothing there.
			outputs: planned === undefined || run.stage === "extract" ? [] : [outputOf(planned, told)],
		});
	}

	#runFacets(run: RunReceipt, table: string | null, { error }: Told): object {
		const { settings, version, redact } = this.#options;
		const { parent } = settings;
		const above =
			table !== null
				? { run: { runId: uuidOf(run, null) }, job: { namespace: settings.namespace, name: jobName(run, null) } }
				: parent === undefined
					? null
					: { run: { runId: parent.runId }, job: { namespace: parent.namespace, name: parent.name } };
		return {
			processing_engine: facet("ProcessingEngineRunFacet", "1-1-1", { version, name: "headrace" }),
			...(above === null ? {} : { parent: facet("ParentRunFacet", "1-1-0", above) }),
			...(run.interval === null
				? {}
				: {
						nominalTime: facet("NominalTimeRunFacet", "1-0-1", {
							nominalStartTime: run.interval.start,
							nominalEndTime: run.interval.end,
						}),
					}),
			...(error === null || error === undefined
				? {}
				: {
						errorMessage: facet("ErrorMessageRunFacet", "1-0-1", {
							message: `${error.code}: ${redact(error.message)}`,
							programmingLanguage: "TypeScript",
						}),
					}),
		};
	}
}

interface Moved {
	readonly rows: number;
	readonly bytes: number;
}

interface Told {
	/** ISO 8601; null: now. */
	readonly at: string | null;
	readonly error?: ReceiptError | null;
	readonly read?: Moved;
	readonly loaded?: Moved;
}

function typeOfEnd(state: TableReceipt["state"]): EventType {
	return state === "succeeded" ? "COMPLETE" : state === "failed" ? "FAIL" : "ABORT";
}

function jobName({ pipeline }: RunReceipt, table: string | null): string {
	return table === null ? pipeline : `${pipeline}.${table}`;
}

function inputOf(dataset: LineageDataset, { columns, inputs }: LineageTable, { read }: Told): object {
	// Of a summary the columns of what it is built from are told by those tables themselves.
	const fields = inputs.length === 1 ? columns.flatMap(({ from }) => (from === null ? [] : [from])) : [];
	return {
		...dataset,
		facets: fields.length === 0 ? {} : { schema: facet("SchemaDatasetFacet", "1-1-1", { fields }) },
		inputFacets:
			read === undefined || inputs.length !== 1
				? {}
				: {
						inputStatistics: facet("InputStatisticsInputDatasetFacet", "1-0-0", {
							rowCount: read.rows,
							size: read.bytes,
						}),
					},
	};
}

function outputOf({ output, inputs, columns }: LineageTable, { loaded }: Told): object {
	const [input] = inputs;
	const fields = columns.map(({ name, type }) => ({ name, type }));
	const origins = columns.flatMap(({ name, from, isMasked }) => {
		if (input === undefined || from === null) return [];
		const transformation = { type: "DIRECT", subtype: isMasked ? "TRANSFORMATION" : "IDENTITY", masking: isMasked };
		const origin = { ...input, field: from.name, transformations: [{ ...transformation, description: "" }] };
		return [[name, { inputFields: [origin] }] as const];
	});
	return {
		...output,
		facets: {
			...(fields.length === 0 ? {} : { schema: facet("SchemaDatasetFacet", "1-1-1", { fields }) }),
			...(origins.length === 0
				? {}
				: { columnLineage: facet("ColumnLineageDatasetFacet", "1-2-0", { fields: Object.fromEntries(origins) }) }),
		},
		outputFacets:
			loaded === undefined
				? {}
				: {
						outputStatistics: facet("OutputStatisticsOutputDatasetFacet", "1-0-2", {
							rowCount: loaded.rows,
							size: loaded.bytes,
						}),
					},
	};
}

/** The same for all events of a run: by its name, version 5 of https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-5 */
function uuidOf({ run_id, pipeline }: RunReceipt, table: string | null): string {
	const bytes = createHash("sha1")
		.update(JSON.stringify([PRODUCER, pipeline, run_id, table]))
		.digest()
		.subarray(0, 16);
	bytes[6] = (bytes[6]! & 0x0f) | 0x50;
	bytes[8] = (bytes[8]! & 0x3f) | 0x80;
	const hex = bytes.toString("hex");
	return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
