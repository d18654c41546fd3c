import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Link } from "wouter-preact";
import type { Grid, JobAnswer, RunDetail, RunRequest } from "../../../src/server/api.ts";
import { askRerun, askRetry, several } from "../actions.tsx";
import { logUrl, pipelineApi, runApi, runUrl, tableUrl } from "../addresses.ts";
import { post } from "../client.ts";
import { bytes, count, duration, intervalText, plural } from "../format.ts";
import { ask } from "../parts/dialog.tsx";
import { Loaded } from "../parts/load.tsx";
import { StateText } from "../parts/mark.tsx";
import { Problem } from "../parts/notice.tsx";
import { Time } from "../parts/time.tsx";
import { useResource } from "../resource.ts";
import { mayOperate } from "../session.tsx";

export type GridTable = Grid["tables"][number];

/** What `--interval` takes for a run's interval. */
export function intervalName(interval: { readonly start: string } | null): string | null {
	return interval === null ? null : interval.start;
}

/** One table in one run, beside the grid: what happened, the way to its log, and to try again. */
export function CellPanel(props: {
	readonly pipeline: string;
	readonly table: GridTable;
	readonly runId: string;
	readonly onClose: () => void;
}): JSX.Element {
	const { pipeline, table, runId } = props;
	const detail = useResource<RunDetail>(runApi(runId));
	const close = useRef<HTMLButtonElement>(null);
	useEffect(() => close.current?.focus(), []);
	return (
		<aside
			class="side"
			aria-label={`${table.table} in the run ${runId}`}
			onKeyDown={(event) => {
				if (event.key === "Escape") props.onClose();
			}}
		>
			<div class="side-head">
				<h2>{table.table}</h2>
				<button ref={close} type="button" class="button slim" onClick={props.onClose}>
					Close
				</button>
			</div>
			<Loaded of={detail}>
				{(data) => {
					const receipt = data.run.tables.find((each) => each.table === table.table);
					const interval = data.run.interval;
					if (receipt === undefined) return <p>The run did not reach this table.</p>;
					const name = intervalName(interval);
					const place = name === null ? null : { name, text: intervalText(interval) };
					const off = !mayOperate() || data.run.state === "running";
					return (
						<>
							<p>
								<StateText state={receipt.state} /> in the run of <Time at={data.run.started_at} />
								{interval === null ? "" : `, interval ${intervalText(interval)}`}
							</p>
							{receipt.error === null ? null : <Problem {...receipt.error} />}
							<dl class="facts">
								<div>
									<dt>Read</dt>
									<dd>{count(receipt.rows_read)}</dd>
								</div>
								<div>
									<dt>Loaded</dt>
									<dd>{count(receipt.rows_loaded)}</dd>
								</div>
								<div>
									<dt>Rejected</dt>
									<dd>{count(receipt.rows_rejected)}</dd>
								</div>
								<div>
									<dt>Bytes</dt>
									<dd>{bytes(receipt.bytes)}</dd>
								</div>
								<div>
									<dt>Took</dt>
									<dd>{duration(receipt.seconds)}</dd>
								</div>
								<div>
									<dt>Attempts</dt>
									<dd>{receipt.attempts}</dd>
								</div>
							</dl>
							<div class="actions stacked">
								<Link class="button" href={logUrl(runId, { task: table.table, firstError: receipt.error !== null })}>
									{receipt.error === null ? "Log of this table" : "Log at its first error"}
								</Link>
								<Link class="button" href={runUrl(runId)}>
									Whole run
								</Link>
								<Link class="button" href={tableUrl(pipeline, table.table)}>
									Table
								</Link>
								{receipt.state === "failed" ? (
									<button type="button" class="button main" disabled={off} onClick={() => askRetry(data)}>
										Retry what failed in this run
									</button>
								) : null}
								<button
									type="button"
									class="button"
									disabled={off}
									onClick={() => askRerun(pipeline, [table.table], place, false)}
								>
									Run this table again
								</button>
								<button
									type="button"
									class="button"
									disabled={off}
									onClick={() => askRerun(pipeline, [table.table], place, true)}
								>
									Clear and rerun
								</button>
							</div>
						</>
					);
				}}
			</Loaded>
		</aside>
	);
}

/** What can be done with the cells that were chosen: one run is asked for each run that they are of. */
export function CellBulk(props: {
	readonly grid: Grid;
	readonly chosen: ReadonlySet<string>;
	readonly keyOf: (table: string, runId: string) => string;
	readonly onDone: () => void;
}): JSX.Element | null {
	const { grid, chosen } = props;
	if (chosen.size === 0) return <p class="quiet small">Shift-click, or Space, chooses several cells to run again.</p>;
	const groups = grid.runs.flatMap((run) => {
		const tables = grid.tables.filter(({ table }) => chosen.has(props.keyOf(table, run.run_id)));
		return tables.length === 0 ? [] : [{ run, tables: tables.map(({ table }) => table) }];
	});
	const rerun = (fullRefresh: boolean) =>
		ask({
			title: fullRefresh ? "Clear and rerun what is chosen" : "Run again what is chosen",
			confirm: `Start ${plural(merged(groups).length, "run")}`,
			preview: (
				<>
					<p>
						{fullRefresh
							? "Positions are given up: all rows are read anew."
							: "What has an interval is read for its interval again, the other tables from where they stand."}
					</p>
					<ul>
						{merged(groups).map(({ interval, tables }) => (
							<li key={interval ?? ""}>
								{interval === null ? "" : `${interval}: `}
								<span class="mono">{tables.join(", ")}</span>
							</li>
						))}
					</ul>
				</>
			),
			act: () =>
				several(
					merged(groups),
					({ interval, tables }) =>
						post<JobAnswer>(`${pipelineApi(grid.pipeline)}/run`, {
							tables,
							...(interval === null ? {} : { interval }),
							...(fullRefresh ? { full_refresh: true } : {}),
						} satisfies RunRequest),
					(done) => `Started ${plural(done, "run")}`,
				),
		});
	return (
		<section class="bulk" aria-label="With the chosen cells">
			<span>{plural(chosen.size, "cell")} chosen</span>
			<button type="button" class="button slim" disabled={!mayOperate()} onClick={() => rerun(false)}>
				Run again
			</button>
			<button type="button" class="button slim" disabled={!mayOperate()} onClick={() => rerun(true)}>
				Clear and rerun
			</button>
			<button type="button" class="button plain slim" onClick={props.onDone}>
				Choose none
			</button>
		</section>
	);
}

/** Cells of runs without an interval are one run: to read a table twice from where it stands is to read it once. */
function merged(
	groups: readonly { readonly run: Grid["runs"][number]; readonly tables: string[] }[],
): { interval: string | null; tables: string[] }[] {
	const byInterval = new Map<string | null, Set<string>>();
	for (const { run, tables } of groups) {
		const name = intervalName(run.interval);
		byInterval.set(name, (byInterval.get(name) ?? new Set()).union(new Set(tables)));
	}
	return [...byInterval].map(([interval, tables]) => ({ interval, tables: [...tables] }));
}
