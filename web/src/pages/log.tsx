import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Link, useSearch } from "wouter-preact";
import type { LogLevel, LogLine, RunDetail } from "../../../src/server/api.ts";
import { askRetry } from "../actions.tsx";
import { logUrl, pipelineUrl, runApi, runUrl } from "../addresses.ts";
import { clockTime, dateTime, plural } from "../format.ts";
import { useShortcut } from "../keys.ts";
import { useLog } from "../log-lines.ts";
import { StateText } from "../parts/mark.tsx";
import { ErrorNotice } from "../parts/notice.tsx";
import { useResource } from "../resource.ts";
import { mayOperate } from "../session.tsx";
import { useTitle } from "../shell.tsx";

const LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error"];
const LEVEL_SIGNS = { debug: "debug", info: "info", warn: "▲ warn", error: "✖ error" } as const;
/** More lines than a browser draws at once without pausing: the newest are shown, a filter finds the others. */
const SHOWN_MAX = 4000;

/** The log of a run, live while it is at work. */
export function LogPage({ runId }: { readonly runId: string }): JSX.Element {
	const asked = new URLSearchParams(useSearch());
	const detail = useResource<RunDetail>(runApi(runId)).data;
	useTitle(detail === null ? "Log" : `Log: ${detail.run.pipeline}`);
	const log = useLog(runId);
	const [level, setLevel] = useState<LogLevel>("info");
	const [table, setTable] = useState(asked.get("table") ?? "");
	const [attempt, setAttempt] = useState(0);
	const [text, setText] = useState("");
	const [follow, setFollow] = useState(asked.get("at") === null);
	const [current, setCurrent] = useState<number | null>(null);
	const lines = useRef<HTMLOListElement>(null);
	const window = attemptWindow(detail, table, attempt);
	const matching = useMemo(() => {
		const wanted = text.toLowerCase();
		const lowest = LEVELS.indexOf(level);
		return log.lines.filter(
			(line) =>
				LEVELS.indexOf(line.level) >= lowest &&
				(table === "" || line.task === table) &&
				(wanted === "" || line.message.toLowerCase().includes(wanted)) &&
				line.at >= window.from &&
				line.at < window.to,
		);
	}, [log.lines, level, table, text, window.from, window.to]);
	const errors = matching.filter((line) => line.level === "error");
	// What is looked for has to be among what is drawn.
	const end =
		current === null ? matching.length : Math.max(SHOWN_MAX, matching.findIndex(({ line }) => line === current) + 200);
	const shown = matching.slice(Math.max(0, end - SHOWN_MAX), end);

	const goTo = (line: LogLine | undefined) => {
		if (line === undefined) return;
		setFollow(false);
		setCurrent(line.line);
	};
	const step = (by: 1 | -1) => {
		const at = errors.findIndex(({ line }) => line === current);
		goTo(at < 0 ? errors.at(by === 1 ? 0 : -1) : errors[(at + by + errors.length) % errors.length]);
	};
	useShortcut("e", "Next error", () => step(1));
	useShortcut("E", "Error before", () => step(-1));
	useShortcut("f", "Follow new lines", () => setFollow(!follow));

	const wantsFirstError = useRef(asked.get("at") === "first-error");
	useEffect(() => {
		if (!wantsFirstError.current || errors[0] === undefined) return;
		wantsFirstError.current = false;
		goTo(errors[0]);
	}, [errors[0]]);
	useEffect(() => {
		if (current === null) return;
		const line = lines.current?.querySelector<HTMLElement>(`[data-line="${current}"]`);
		if (line === null || line === undefined) return;
		const box = lines.current!;
		box.scrollTop += line.getBoundingClientRect().top - box.getBoundingClientRect().top - box.clientHeight / 2;
		line.focus({ preventScroll: true });
	}, [current]);
	useEffect(() => {
		if (follow && lines.current !== null) lines.current.scrollTop = lines.current.scrollHeight;
	}, [follow, shown.length, shown.at(-1)?.line]);

	const tables = detail?.run.tables.map((each) => each.table) ?? [];
	const attempts = detail?.run.tables.find((each) => each.table === table)?.attempts ?? 0;
	return (
		<>
			<p class="crumbs">
				<Link href="/">Pipelines</Link> /{" "}
				{detail === null ? null : (
					<>
						<Link href={pipelineUrl(detail.run.pipeline)}>{detail.run.pipeline}</Link> /{" "}
					</>
				)}
				<Link href={runUrl(runId)}>run {detail === null ? "" : dateTime(detail.run.started_at)}</Link> /
			</p>
			<div class="page-head">
				<h1>Log</h1>
				{detail === null ? null : <StateText state={detail.run.state} />}
				<div class="actions">
					<a class="button" href={`${runApi(runId)}/log?download=1`} download={`${runId}.log`}>
						Download
					</a>
					{detail !== null && detail.run.state !== "running" && detail.run.state !== "succeeded" ? (
						<button type="button" class="button main" disabled={!mayOperate()} onClick={() => askRetry(detail)}>
							Retry failed
						</button>
					) : null}
				</div>
			</div>
			<div class="toolbar">
				<input
					type="search"
					class="input"
					placeholder="Search the messages"
					aria-label="Search the messages"
					value={text}
					onInput={(event) => setText(event.currentTarget.value)}
				/>
				<label class="check">
					Level
					<select class="input" value={level} onChange={(event) => setLevel(event.currentTarget.value as LogLevel)}>
						{LEVELS.map((each) => (
							<option key={each} value={each}>
								{each === "error" ? "errors only" : `${each} and worse`}
							</option>
						))}
					</select>
				</label>
				<label class="check">
					Table
					<select
						class="input"
						value={table}
						onChange={(event) => {
							setTable(event.currentTarget.value);
							setAttempt(0);
							history.replaceState(null, "", logUrl(runId, { task: event.currentTarget.value }));
						}}
					>
						<option value="">all</option>
						{[...new Set([...tables, ...(table === "" ? [] : [table])])].map((each) => (
							<option key={each} value={each}>
								{each}
							</option>
						))}
					</select>
				</label>
				{attempts < 2 ? null : (
					<label class="check">
						Attempt
						<select class="input" value={attempt} onChange={(event) => setAttempt(Number(event.currentTarget.value))}>
							<option value={0}>all {attempts}</option>
							{Array.from({ length: attempts }, (_, index) => (
								<option key={index} value={index + 1}>
									{index + 1}
								</option>
							))}
						</select>
					</label>
				)}
				<button type="button" class="button slim" disabled={errors.length === 0} onClick={() => goTo(errors[0])}>
					First error
				</button>
				<button type="button" class="button slim" disabled={errors.length === 0} onClick={() => step(1)}>
					Next error ({errors.length})
				</button>
				<label class="check">
					<input type="checkbox" checked={follow} onChange={() => setFollow(!follow)} />
					Follow
				</label>
			</div>
			{log.error === null ? null : <ErrorNotice error={log.error} />}
			{/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by the keyboard */}
			<ol class="log" ref={lines} tabIndex={0} aria-label="Lines of the log">
				{shown.map((line) => (
					<li
						key={line.line}
						data-line={line.line}
						tabIndex={-1}
						class={`level-${line.level}${line.line === current ? " current" : ""}`}
					>
						<time dateTime={line.at} title={dateTime(line.at)}>
							{clockTime(line.at)}
						</time>
						<span class="level">{LEVEL_SIGNS[line.level]}</span>
						{table === "" ? <span class="task">{line.task ?? ""}</span> : null}
						<span class="message">{line.message}</span>
					</li>
				))}
			</ol>
			<p class="quiet small" role="status">
				{matching.length === log.lines.length
					? plural(matching.length, "line")
					: `${plural(matching.length, "line")} of ${log.lines.length}`}
				{shown.length < matching.length ? `, ${plural(shown.length, "line")} drawn` : ""}
				{log.state === "live"
					? "; new lines appear as they come"
					: log.state === "loading"
						? "; loading…"
						: "; complete"}
			</p>
		</>
	);
}

/** The time of one attempt of a table: lines do not say their attempt, the timeline says when each began. */
function attemptWindow(
	detail: RunDetail | null,
	table: string,
	attempt: number,
): { readonly from: string; readonly to: string } {
	if (detail === null || attempt === 0) return { from: "", to: "\uffff" };
	const starts = (number: number) =>
		detail.stages
			.filter((stage) => stage.table === table && stage.attempt === number && stage.stage !== "wait")
			.map(({ started_at }) => started_at)
			.sort()[0];
	return { from: attempt === 1 ? "" : (starts(attempt) ?? "\uffff"), to: starts(attempt + 1) ?? "\uffff" };
}
