import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { BackfillPreview, BackfillRequest, JobAnswer, PipelineDetail } from "../../src/server/api.ts";
import { pipelineApi } from "./addresses.ts";
import { post } from "./client.ts";
import { intervalText, plural } from "./format.ts";
import { Dialog, say } from "./parts/dialog.tsx";
import { StateText } from "./parts/mark.tsx";
import { ErrorNotice } from "./parts/notice.tsx";
import { refresh, useResource } from "./resource.ts";

type Which = NonNullable<BackfillRequest["which"]>;

const WHICH: readonly (readonly [Which, string])[] = [
	["missing", "what is not there: missing, failed, stopped"],
	["failed", "failed and stopped ones"],
	["all", "all, also those that succeeded"],
];
const TYPING_MS = 250;

/** A range of intervals to run: the list of what will run is asked of the server, and shown before it is begun. */
export function BackfillDialog(props: {
	readonly pipeline: string;
	readonly initial: { readonly start: string; readonly end: string; readonly which: Which };
	readonly onClose: () => void;
}): JSX.Element {
	const { pipeline, initial } = props;
	const [start, setStart] = useState(initial.start);
	const [end, setEnd] = useState(initial.end);
	const [which, setWhich] = useState<Which>(initial.which);
	const [newestFirst, setNewestFirst] = useState(false);
	const [runsMax, setRunsMax] = useState("");
	const [tables, setTables] = useState<ReadonlySet<string>>(new Set());
	const [preview, setPreview] = useState<BackfillPreview | null>(null);
	const [error, setError] = useState<unknown>(null);
	const [busy, setBusy] = useState(false);
	const { data: detail } = useResource<PipelineDetail>(pipelineApi(pipeline));
	const offered = (detail?.grid.tables ?? []).filter(({ mode }) => mode === "interval").map(({ table }) => table);
	const request: BackfillRequest = {
		start: start.trim(),
		end: end.trim(),
		which,
		...(newestFirst ? { newest_first: true } : {}),
		...(runsMax === "" ? {} : { max_active_runs: Number(runsMax) }),
		...(tables.size === 0 ? {} : { tables: [...tables] }),
	};
	const asked = JSON.stringify(request);
	useEffect(() => {
		let gone = false;
		setPreview(null);
		const timer = setTimeout(async () => {
			try {
				const answer = await post<BackfillPreview>(`${pipelineApi(pipeline)}/backfill/preview`, JSON.parse(asked));
				if (gone) return;
				setPreview(answer);
				setError(null);
			} catch (failure) {
				if (!gone) setError(failure);
			}
		}, TYPING_MS);
		return () => {
			gone = true;
			clearTimeout(timer);
		};
	}, [asked, pipeline]);

	const act = async () => {
		if (busy || preview === null || preview.runs === 0) return;
		setBusy(true);
		try {
			await post<JobAnswer>(`${pipelineApi(pipeline)}/backfill`, request);
			void refresh();
			say(`${pipeline}: backfill of ${plural(preview.runs, "interval")} begun.`);
			props.onClose();
		} catch (failure) {
			setError(failure);
			setBusy(false);
		}
	};
	return (
		<Dialog
			title={`Backfill ${pipeline}`}
			onClose={props.onClose}
			onSubmit={act}
			footer={
				<>
					<button type="button" class="button" onClick={props.onClose}>
						Cancel
					</button>
					<button type="submit" class="button main" disabled={busy || preview === null || preview.runs === 0}>
						{preview === null ? "Run" : `Run ${plural(preview.runs, "interval")}`}
					</button>
				</>
			}
		>
			<div class="toolbar">
				<label class="field">
					<span>Start (included)</span>
					<input class="input" value={start} onInput={(event) => setStart(event.currentTarget.value)} />
				</label>
				<label class="field">
					<span>End (excluded)</span>
					<input class="input" value={end} onInput={(event) => setEnd(event.currentTarget.value)} />
				</label>
				<label class="field">
					<span>Which intervals</span>
					<select class="input" value={which} onChange={(event) => setWhich(event.currentTarget.value as Which)}>
						{WHICH.map(([each, words]) => (
							<option key={each} value={each}>
								{words}
							</option>
						))}
					</select>
				</label>
				<label class="field">
					<span>Runs at once</span>
					<input
						class="input short"
						type="number"
						min={1}
						max={100}
						placeholder={String(detail?.schedule?.max_active_runs ?? 1)}
						value={runsMax}
						onInput={(event) => setRunsMax(event.currentTarget.value)}
					/>
				</label>
				<label class="check">
					<input type="checkbox" checked={newestFirst} onChange={() => setNewestFirst(!newestFirst)} />
					Newest first
				</label>
			</div>
			{offered.length < 2 ? null : (
				<details>
					<summary>{tables.size === 0 ? "Only some tables" : plural(tables.size, "table")}</summary>
					<div class="ticks">
						{offered.map((table) => (
							<label key={table} class="check">
								<input
									type="checkbox"
									checked={tables.has(table)}
									onChange={() => setTables(tables.symmetricDifference(new Set([table])))}
								/>
								<span class="mono">{table}</span>
							</label>
						))}
					</div>
				</details>
			)}
			{error === null ? null : <ErrorNotice error={error} />}
			{preview === null ? (
				error === null ? (
					<p class="quiet">Asking what would run…</p>
				) : null
			) : (
				<>
					<p role="status">
						<strong>{plural(preview.runs, "run")}</strong> of {plural(preview.intervals.length, "interval")}, with{" "}
						{preview.tables.length === 0 ? "all tables that have intervals" : preview.tables.join(", ")}:
					</p>
					<ol class="preview">
						{preview.intervals.map(({ interval, state, taken }) => (
							<li key={interval.start} class={taken ? "" : "quiet"}>
								<span>{taken ? "run" : "leave"}</span> {intervalText(interval)} <StateText state={state} />
							</li>
						))}
					</ol>
				</>
			)}
		</Dialog>
	);
}
