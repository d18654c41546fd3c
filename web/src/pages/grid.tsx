import type { JSX } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { Link } from "wouter-preact";
import type { Grid, GridCell, RunSquare } from "../../../src/server/api.ts";
import { runUrl, tableUrl } from "../addresses.ts";
import { dayOf, duration, intervalText, plural, shortDateTime } from "../format.ts";
import { Legend, Mark } from "../parts/mark.tsx";
import { CellBulk, CellPanel, type GridTable } from "./cell-panel.tsx";
import { squareLabel } from "./pipeline-cells.tsx";

/** Where a cell is: `table` and `run` are indices of the grid. */
export interface Place {
	readonly table: number;
	readonly run: number;
}

const BAR_PX = 48;
/** Columns that the text of a day takes. */
const LABEL_COLUMNS = 2;
const STATES = ["", "failed", "running", "succeeded", "stopped", "skipped", "pending"];

const keyOf = (table: string, runId: string) => `${table}\n${runId}`;

/**
 * Tables by runs. Arrows move in it, Enter opens a cell, Space chooses it; only one cell is on the way of Tab, so that
 * a wide grid can be passed by.
 */
export function GridView(props: { readonly grid: Grid; readonly control: JSX.Element }): JSX.Element {
	const { grid } = props;
	const [text, setText] = useState("");
	const [state, setState] = useState("");
	const [at, setAt] = useState<Place>({ table: 0, run: grid.runs.length - 1 });
	const [open, setOpen] = useState<{ readonly table: string; readonly runId: string } | null>(null);
	const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
	const body = useRef<HTMLTableSectionElement>(null);
	const scroll = useRef<HTMLDivElement>(null);
	// The newest run is what people come for: where not all of them fit, it is in sight.
	useLayoutEffect(() => {
		if (scroll.current !== null) scroll.current.scrollLeft = scroll.current.scrollWidth;
	}, [grid.runs.length]);
	const tables = grid.tables.filter(
		({ table, into, cells }) =>
			`${table} ${into}`.toLowerCase().includes(text.toLowerCase()) &&
			(state === "" || cells.some((cell) => cell?.state === state)),
	);
	const toggle = (key: string) => setChosen(chosen.symmetricDifference(new Set([key])));
	const move = (place: Place) => {
		setAt(place);
		body.current
			?.querySelector<HTMLElement>(`[data-place="${place.table}:${place.run}"]`)
			?.focus({ preventScroll: false });
	};
	const onKeyDown = (event: KeyboardEvent) => {
		const next = moved(at, event.key, tables, grid.runs.length);
		if (next !== null) {
			event.preventDefault();
			move(next);
		}
	};
	const pick = (table: GridTable, runIndex: number, cell: GridCell, event: { shiftKey: boolean; ctrlKey: boolean }) => {
		setAt({ table: tables.indexOf(table), run: runIndex });
		if (event.shiftKey || event.ctrlKey) toggle(keyOf(table.table, cell.run_id));
		else setOpen({ table: table.table, runId: cell.run_id });
	};
	const opened = open === null ? null : grid.tables.find(({ table }) => table === open.table);
	const current = { table: Math.min(at.table, tables.length - 1), run: Math.min(at.run, grid.runs.length - 1) };
	return (
		<>
			<div class="toolbar">
				<input
					type="search"
					class="input"
					placeholder="Filter tables"
					aria-label="Filter tables"
					value={text}
					onInput={(event) => setText(event.currentTarget.value)}
				/>
				<label class="check">
					with a run that
					<select class="input" value={state} onChange={(event) => setState(event.currentTarget.value)}>
						{STATES.map((each) => (
							<option key={each} value={each}>
								{each === "" ? "is in any state" : each}
							</option>
						))}
					</select>
				</label>
				{props.control}
				<span class="quiet small">
					{plural(tables.length, "table")} × {plural(grid.runs.length, "run")}
				</span>
			</div>
			<CellBulk grid={grid} chosen={chosen} keyOf={keyOf} onDone={() => setChosen(new Set())} />
			<div class="scroll grid-scroll" ref={scroll}>
				<table class="grid">
					<caption class="visually-hidden">
						States of tables by run. Arrow keys move, Enter opens, Space chooses.
					</caption>
					<Heads runs={grid.runs} />
					<tbody ref={body} onKeyDown={onKeyDown}>
						{tables.map((table, tableIndex) => (
							<tr key={table.table}>
								<th scope="row">
									<Link href={tableUrl(grid.pipeline, table.table)}>{table.table}</Link>
									<span class="quiet small">
										{" "}
										{table.mode}, {table.write}
									</span>
								</th>
								{table.cells.map((cell, runIndex) => {
									const run = grid.runs[runIndex]!;
									if (cell === null) return <td key={run.run_id} />;
									const key = keyOf(table.table, cell.run_id);
									return (
										<td key={run.run_id} class={chosen.has(key) ? "cell chosen" : "cell"}>
											<button
												type="button"
												data-place={`${tableIndex}:${runIndex}`}
												tabIndex={current.table === tableIndex && current.run === runIndex ? 0 : -1}
												aria-pressed={chosen.has(key)}
												aria-label={cellLabel(table.table, cell, run)}
												title={cellLabel(table.table, cell, run)}
												onClick={(event) => pick(table, runIndex, cell, event)}
												onKeyDown={(event) => {
													if (event.key !== " ") return;
													event.preventDefault();
													toggle(key);
												}}
											>
												<Mark state={cell.state} label="" />
											</button>
										</td>
									);
								})}
							</tr>
						))}
					</tbody>
				</table>
			</div>
			{tables.length === 0 ? <p class="quiet">No table matches the filter.</p> : null}
			<Legend states={["succeeded", "failed", "running", "stopped", "skipped", "pending"]} />
			{open === null || opened === null || opened === undefined ? null : (
				<CellPanel
					key={keyOf(open.table, open.runId)}
					pipeline={grid.pipeline}
					table={opened}
					runId={open.runId}
					onClose={() => {
						setOpen(null);
						move(current);
					}}
				/>
			)}
		</>
	);
}

/** The nearest place with a cell in the direction of an arrow key; null for other keys and at the border. */
function moved(at: Place, key: string, tables: readonly GridTable[], runs: number): Place | null {
	const steps: Readonly<Record<string, readonly [number, number]>> = {
		ArrowUp: [-1, 0],
		ArrowDown: [1, 0],
		ArrowLeft: [0, -1],
		ArrowRight: [0, 1],
	};
	if (key === "Home" || key === "End") {
		const cells = tables[at.table]?.cells ?? [];
		const run = key === "Home" ? cells.findIndex(isCell) : cells.findLastIndex(isCell);
		return run < 0 ? null : { table: at.table, run };
	}
	const step = steps[key];
	if (step === undefined) return null;
	let { table, run } = at;
	do {
		table += step[0];
		run += step[1];
		if (table < 0 || run < 0 || table >= tables.length || run >= runs) return null;
	} while (!isCell(tables[table]!.cells[run] ?? null));
	return { table, run };
}

function isCell(cell: GridCell | null): boolean {
	return cell !== null;
}

function cellLabel(table: string, cell: GridCell, run: RunSquare): string {
	const error = cell.error_code === null ? "" : ` ${cell.error_code}`;
	return `${table}, ${shortDateTime(run.started_at)}: ${cell.state}${error}, ${plural(cell.rows, "row")}, ${duration(cell.seconds)}`;
}

/** Durations as bars; days are written where they change. */
function Heads({ runs }: { readonly runs: readonly RunSquare[] }): JSX.Element {
	const labelled = new Set(newDays(runs));
	const longest = Math.max(0.001, ...runs.map(({ seconds }) => seconds));
	return (
		<thead>
			<tr>
				<td class="scale">
					<span>{duration(longest)}</span>
					<span>0 s</span>
				</td>
				{runs.map((run, index) => {
					return (
						<th key={run.run_id} scope="col" class="run-head">
							<Link href={runUrl(run.run_id)} title={squareLabel(run)} aria-label={`Run: ${squareLabel(run)}`}>
								<span class="run-bar-box">
									<span
										class={`run-bar tone-${run.state}`}
										style={{ height: `${Math.max(3, Math.round((run.seconds / longest) * BAR_PX))}px` }}
									/>
								</span>
								<Mark state={run.state} label="" />
							</Link>
							{labelled.has(index) ? <span class="day">{dayText(run)}</span> : null}
						</th>
					);
				})}
			</tr>
		</thead>
	);
}

function dayText(run: RunSquare): string {
	return run.interval === null ? dayOf(run.started_at).slice(5) : intervalText(run.interval).slice(5, 10);
}

/** Indices of the runs where a day begins, as far apart as their texts need. */
function newDays(runs: readonly RunSquare[]): number[] {
	const found: number[] = [];
	runs.forEach((run, index) => {
		const isNew = index === 0 || dayText(runs[index - 1]!) !== dayText(run);
		if (isNew && index - (found.at(-1) ?? -LABEL_COLUMNS) >= LABEL_COLUMNS) found.push(index);
	});
	return found;
}
