import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Link } from "wouter-preact";
import type { RunReceipt, TableReceipt } from "../../../src/server/api.ts";
import { logUrl, tableUrl } from "../addresses.ts";
import { bytes, count, duration } from "../format.ts";
import { progress, progressKey } from "../live.ts";
import { StateText } from "../parts/mark.tsx";
import { Problem } from "../parts/notice.tsx";
import { Time } from "../parts/time.tsx";

/** The receipt of each table; those that have more to say open. */
export function Receipts(props: {
	readonly run: RunReceipt;
	readonly chosen: ReadonlySet<string>;
	readonly onChoose: (chosen: ReadonlySet<string>) => void;
}): JSX.Element {
	const { run, chosen } = props;
	const names = run.tables.map(({ table }) => table);
	const all = names.length > 0 && names.every((name) => chosen.has(name));
	if (run.tables.length === 0) return <p class="quiet">The run ended before its tables began.</p>;
	return (
		<div class="scroll">
			<table class="receipts">
				<thead>
					<tr>
						<td class="tick">
							<input
								type="checkbox"
								aria-label="Choose all tables"
								checked={all}
								onChange={() => props.onChoose(new Set(all ? [] : names))}
							/>
						</td>
						<th scope="col">Table</th>
						<th scope="col">Into</th>
						<th scope="col">State</th>
						{["Read", "Staged", "Loaded", "Rejected", "Bytes", "Attempts", "Took"].map((word) => (
							<th key={word} scope="col" class="number">
								{word}
							</th>
						))}
						<td />
					</tr>
				</thead>
				<tbody>
					{run.tables.map((receipt) => (
						<Rows
							key={receipt.table}
							run={run}
							receipt={receipt}
							chosen={chosen.has(receipt.table)}
							onChoose={() => props.onChoose(chosen.symmetricDifference(new Set([receipt.table])))}
						/>
					))}
				</tbody>
			</table>
		</div>
	);
}

function Rows(props: {
	readonly run: RunReceipt;
	readonly receipt: TableReceipt;
	readonly chosen: boolean;
	readonly onChoose: () => void;
}): JSX.Element {
	const { run, receipt } = props;
	const { table, into, state, error } = receipt;
	const [open, setOpen] = useState<boolean | null>(null);
	const isOpen = open ?? error !== null;
	const live = run.state === "running" ? progress.value.get(progressKey(run.run_id, table)) : undefined;
	const rows = live === undefined ? receipt.rows_read : Math.max(receipt.rows_read, live.rows);
	return (
		<>
			<tr>
				<td class="tick">
					<input type="checkbox" aria-label={`Choose ${table}`} checked={props.chosen} onChange={props.onChoose} />
				</td>
				<th scope="row">
					<Link href={tableUrl(run.pipeline, table)}>{table}</Link>
					<div class="quiet small">
						{receipt.mode}, {receipt.write}
					</div>
				</th>
				<td class="mono">{into}</td>
				<td>
					<StateText state={state} />
					{live?.estimated_rows ? (
						<div class="quiet small">~{Math.min(99, Math.floor((rows / live.estimated_rows) * 100))} %</div>
					) : null}
				</td>
				<td class="number">{count(rows)}</td>
				<td class="number">{count(receipt.rows_staged)}</td>
				<td class="number">{count(receipt.rows_loaded)}</td>
				<td class="number">{count(receipt.rows_rejected)}</td>
				<td class="number">{bytes(live === undefined ? receipt.bytes : Math.max(receipt.bytes, live.bytes))}</td>
				<td class="number">{receipt.attempts}</td>
				<td class="number">{duration(receipt.seconds)}</td>
				<td class="number">
					<button
						type="button"
						class="button plain slim"
						aria-expanded={isOpen}
						aria-label={`Details of ${table}`}
						onClick={() => setOpen(!isOpen)}
					>
						{isOpen ? "▾" : "▸"}
					</button>
				</td>
			</tr>
			{isOpen ? (
				<tr class="detail">
					<td />
					<td colSpan={11}>
						<div class="detail-body">
							<Detail run={run} receipt={receipt} />
						</div>
					</td>
				</tr>
			) : null}
		</>
	);
}

function Detail({ run, receipt }: { readonly run: RunReceipt; readonly receipt: TableReceipt }): JSX.Element {
	const { table, error, attempt_errors = [], checks = [], schema_changes = [], values_changed } = receipt;
	const changed = Object.entries(values_changed);
	return (
		<>
			{error === null ? null : (
				<Problem code={error.code} message={error.message} hint={error.hint}>
					<p>
						<Link href={logUrl(run.run_id, { task: table, firstError: true })}>Its log, at the first error</Link>
					</p>
				</Problem>
			)}
			{attempt_errors.map(({ attempt, at, code, message }) => (
				<p key={attempt}>
					Attempt {attempt} failed <Time at={at} />: <span class="code">{code}</span> {message}
				</p>
			))}
			{checks.length === 0 ? null : (
				<ul class="plain-list">
					{checks.map(({ name, severity, state, failing }) => (
						<li key={name}>
							<StateText
								state={state === "passed" ? "succeeded" : severity === "warn" ? "warning" : "failed"}
								word={state}
							/>{" "}
							check <span class="mono">{name}</span>
							{state === "passed" ? "" : `: ${count(failing)} failing`}
						</li>
					))}
				</ul>
			)}
			{schema_changes.length === 0 ? null : (
				<p>
					Columns:{" "}
					{schema_changes
						.map(({ column, change, action }) => `${column === "" ? "key" : column} ${change} (${action})`)
						.join("; ")}
				</p>
			)}
			{changed.length === 0 ? null : (
				<p>
					Values altered by a stated policy:{" "}
					{changed.map(([column, number]) => `${column} ${count(number)}`).join(", ")}
				</p>
			)}
			<dl class="facts small">
				<div>
					<dt>Inserted · updated · deleted</dt>
					<dd>
						{count(receipt.rows_inserted)} · {count(receipt.rows_updated)} · {count(receipt.rows_deleted)}
					</dd>
				</div>
				{receipt.chunks_total === undefined ? null : (
					<div>
						<dt>Chunks</dt>
						<dd>
							{count(receipt.chunks_total)}
							{receipt.chunks_reused === undefined ? "" : `, ${count(receipt.chunks_reused)} of an earlier run`}
							{receipt.consistency === undefined ? "" : `; ${receipt.consistency}`}
						</dd>
					</div>
				)}
				<div>
					<dt>Position</dt>
					<dd class="mono">{receipt.position ?? "–"}</dd>
				</div>
			</dl>
		</>
	);
}
