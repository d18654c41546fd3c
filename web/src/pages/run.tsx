import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Link } from "wouter-preact";
import type { RunDetail } from "../../../src/server/api.ts";
import { askCancel, askRerun, askRetry, failedTables } from "../actions.tsx";
import { logUrl, pipelineUrl, runApi, runUrl } from "../addresses.ts";
import { count, duration, intervalText, plural, secondsBetween } from "../format.ts";
import { useShortcut } from "../keys.ts";
import { Loaded } from "../parts/load.tsx";
import { StateText } from "../parts/mark.tsx";
import { Problem } from "../parts/notice.tsx";
import { Time } from "../parts/time.tsx";
import { now, useResource } from "../resource.ts";
import { mayOperate } from "../session.tsx";
import { useTitle } from "../shell.tsx";
import { intervalName } from "./cell-panel.tsx";
import { Gantt } from "./gantt.tsx";
import { Receipts } from "./receipts.tsx";
import { SettingsChange } from "./settings-diff.tsx";

/** One run: what happened when, and the receipt of each table. */
export function RunPage({ runId }: { readonly runId: string }): JSX.Element {
	const detail = useResource<RunDetail>(runApi(runId));
	const run = detail.data?.run;
	useTitle(run === undefined ? `Run ${runId}` : `${run.state}: ${run.pipeline}`);
	return <Loaded of={detail}>{(data) => <RunView detail={data} />}</Loaded>;
}

function RunView({ detail }: { readonly detail: RunDetail }): JSX.Element {
	const { run } = detail;
	const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
	const seconds =
		run.finished_at === null
			? Math.max(0, (now.value - Date.parse(run.started_at)) / 1000)
			: secondsBetween(run.started_at, run.finished_at);
	return (
		<>
			<p class="crumbs">
				<Link href="/">Pipelines</Link> / <Link href={pipelineUrl(run.pipeline)}>{run.pipeline}</Link> /
			</p>
			<div class="page-head">
				<h1>Run {run.interval === null ? <Time at={run.started_at} /> : `of ${intervalText(run.interval)}`}</h1>
				<StateText state={run.state} />
				<RunActions detail={detail} />
			</div>
			<dl class="facts">
				<div>
					<dt>Started</dt>
					<dd>
						<Time at={run.started_at} />
					</dd>
				</div>
				<div>
					<dt>{run.finished_at === null ? "At work for" : "Took"}</dt>
					<dd>{duration(seconds)}</dd>
				</div>
				<div>
					<dt>Begun by</dt>
					<dd>
						{detail.trigger}
						{detail.requested_by === null ? "" : `, ${detail.requested_by}`}
						{run.stage === undefined ? "" : `; stage ${run.stage} only`}
					</dd>
				</div>
				{Object.keys(detail.params).length === 0 ? null : (
					<div>
						<dt>Parameters</dt>
						<dd class="mono">
							{Object.entries(detail.params)
								.map(([name, value]) => `${name}=${value}`)
								.join(", ")}
						</dd>
					</div>
				)}
				<div>
					<dt>Run id</dt>
					<dd class="mono">{run.run_id}</dd>
				</div>
				<div>
					<dt>Before and after it</dt>
					<dd>
						{detail.previous_run_id === null ? (
							<span class="quiet">first</span>
						) : (
							<Link href={runUrl(detail.previous_run_id)}>← previous</Link>
						)}{" "}
						·{" "}
						{detail.next_run_id === null ? (
							<span class="quiet">last</span>
						) : (
							<Link href={runUrl(detail.next_run_id)}>next →</Link>
						)}
					</dd>
				</div>
			</dl>
			{run.error === undefined ? null : <Problem {...run.error} />}
			<Balance detail={detail} />
			<Gantt detail={detail} />
			<h2>Receipt</h2>
			<ChosenTables detail={detail} chosen={chosen} onDone={() => setChosen(new Set())} />
			<Receipts run={run} chosen={chosen} onChoose={setChosen} />
			<SettingsChange runId={run.run_id} />
			<Commands detail={detail} />
		</>
	);
}

function RunActions({ detail }: { readonly detail: RunDetail }): JSX.Element {
	const { run } = detail;
	const failed = failedTables(detail);
	const canRetry = mayOperate() && run.state !== "running" && (failed.length > 0 || run.state !== "succeeded");
	useShortcut("r", "Retry what failed (with a preview)", () => {
		if (canRetry) askRetry(detail);
	});
	return (
		<div class="actions">
			<Link class="button" href={logUrl(run.run_id, { firstError: detail.first_error_line !== null })}>
				{detail.first_error_line === null ? "Log" : "Log at the first error"}
			</Link>
			<a
				class="button"
				href={`${runApi(run.run_id)}/report`}
				download
				title="One HTML file about this run, to keep or to send"
			>
				Report
			</a>
			{run.state === "running" ? (
				<button
					type="button"
					class="button"
					disabled={!mayOperate() || !detail.held}
					title={detail.held ? "" : "Another process runs it: stop it there"}
					onClick={() => askCancel(run)}
				>
					Cancel
				</button>
			) : null}
			{run.state !== "running" && run.state !== "succeeded" ? (
				<button type="button" class="button main" disabled={!canRetry} onClick={() => askRetry(detail)}>
					Retry failed
				</button>
			) : null}
		</div>
	);
}

/** The equation of the receipt: rows read = rows loaded + rejected; nothing else may become of a row. */
function Balance({ detail }: { readonly detail: RunDetail }): JSX.Element | null {
	const done = detail.run.tables.filter(({ state }) => state === "succeeded");
	if (done.length === 0) return null;
	const sum = (name: "rows_read" | "rows_staged" | "rows_loaded" | "rows_rejected") =>
		done.reduce((total, receipt) => total + receipt[name], 0);
	const [read, loaded, rejected] = [sum("rows_read"), sum("rows_loaded"), sum("rows_rejected")];
	const onlyExtracted = detail.run.stage === "extract";
	const end = onlyExtracted ? sum("rows_staged") : loaded;
	const balances = read === end + rejected;
	return (
		<p class="balance">
			<StateText state={balances ? "succeeded" : "failed"} word={balances ? "balances" : "does not balance"} /> in{" "}
			{plural(done.length, "table")}: read {count(read)} {balances ? "=" : "≠"} {onlyExtracted ? "staged" : "loaded"}{" "}
			{count(end)} + rejected {count(rejected)}
		</p>
	);
}

function ChosenTables(props: {
	readonly detail: RunDetail;
	readonly chosen: ReadonlySet<string>;
	readonly onDone: () => void;
}): JSX.Element | null {
	const { run } = props.detail;
	const tables = run.tables.map(({ table }) => table).filter((table) => props.chosen.has(table));
	if (tables.length === 0) return null;
	const name = intervalName(run.interval);
	const interval = name === null ? null : { name, text: intervalText(run.interval) };
	const off = !mayOperate() || run.state === "running";
	return (
		<section class="bulk" aria-label="With the chosen tables">
			<span>{plural(tables.length, "table")} chosen</span>
			<button
				type="button"
				class="button slim"
				disabled={off}
				onClick={() => askRerun(run.pipeline, tables, interval, false)}
			>
				Run again
			</button>
			<button
				type="button"
				class="button slim"
				disabled={off}
				onClick={() => askRerun(run.pipeline, tables, interval, true)}
			>
				Clear and rerun
			</button>
			<button type="button" class="button plain slim" onClick={props.onDone}>
				Choose none
			</button>
		</section>
	);
}

function Commands({ detail }: { readonly detail: RunDetail }): JSX.Element {
	const { show, logs, retry } = detail.commands;
	return (
		<details class="commands">
			<summary>The same in a shell</summary>
			<pre>{[show, logs, retry].filter((each) => each !== null).join("\n")}</pre>
		</details>
	);
}
