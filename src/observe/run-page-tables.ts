import type { RunReceipt, TableReceipt } from "../core/state-store.ts";
import { bytesText, countText, secondsText } from "./format.ts";
import { html, type Markup } from "./html.ts";
import { balances, chunkNotes } from "./receipt.ts";
import { stateMark } from "./run-page-marks.ts";

const COUNTS = [
	["Read", "rows_read"],
	["Staged", "rows_staged"],
	["Loaded", "rows_loaded"],
	["Rejected", "rows_rejected"],
	["Inserted", "rows_inserted"],
	["Updated", "rows_updated"],
	["Deleted", "rows_deleted"],
	["Superseded", "rows_superseded"],
] as const;

/** The receipt of each table, their sums, and whether what was read is what arrived. */
export function receiptTable(run: RunReceipt): Markup {
	if (run.tables.length === 0) return html`<p class="quiet">The run ended before its tables began.</p>`;
	const done = run.tables.filter(({ state }) => state === "succeeded");
	const unbalanced = done.filter((table) => !balances(table, run.stage));
	return html`
<div class="scroll"><table>
<thead><tr><th scope="col">Table</th><th scope="col">Into</th><th scope="col">State</th>
${COUNTS.map(([word]) => html`<th scope="col" class="number">${word}</th>`)}
<th scope="col" class="number">Bytes</th><th scope="col" class="number">Attempts</th><th scope="col" class="number">Took</th></tr></thead>
<tbody>${run.tables.map(tableRow)}</tbody>
<tfoot><tr><th scope="row" colspan="3">All tables that succeeded</th>
${COUNTS.map(([, key]) => html`<td class="number">${countText(sum(done, key))}</td>`)}
<td class="number">${bytesText(sum(done, "bytes"))}</td><td></td><td></td></tr></tfoot>
</table></div>
<p>${balanceText(done, unbalanced, run.stage)}</p>`;
}

function sum(tables: readonly TableReceipt[], key: (typeof COUNTS)[number][1] | "bytes"): number {
	return tables.reduce((total, table) => total + (table[key] ?? 0), 0);
}

function tableRow(table: TableReceipt): Markup {
	const notes = [`${table.mode}, ${table.write}`, ...chunkNotes(table)].join("; ");
	return html`<tr><th scope="row">${table.table}<div class="quiet small">${notes}</div></th>
<td class="mono">${table.into}</td><td>${stateMark(table.state)}</td>
${COUNTS.map(([, key]) => html`<td class="number">${countText(table[key] ?? 0)}</td>`)}
<td class="number">${bytesText(table.bytes)}</td><td class="number">${table.attempts}</td>
<td class="number">${secondsText(table.seconds)}</td></tr>\n`;
}

function balanceText(
	done: readonly TableReceipt[],
	unbalanced: readonly TableReceipt[],
	stage: RunReceipt["stage"],
): Markup {
	if (done.length === 0) return html`No table succeeded: there is nothing to balance.`;
	const sides = stage === "extract" ? "read = staged" : "read = loaded + rejected";
	if (unbalanced.length === 0) return html`The receipt balances: ${sides} for each table that succeeded.`;
	return html`<strong class="failed">The receipt does not balance</strong>: ${sides} does not hold for ${unbalanced
		.map(({ table }) => table)
		.join(", ")}.`;
}
