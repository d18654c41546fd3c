import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { TableSample } from "../../../src/server/api.ts";
import { tableApi } from "../addresses.ts";
import { post } from "../client.ts";
import { plural } from "../format.ts";
import { ErrorNotice } from "../parts/notice.tsx";
import { mayAdminister, session } from "../session.tsx";

/** A few rows without their values, for admins of a server that allows it. Asked for by hand: it is in the audit list. */
export function Sample({ pipeline, table }: { readonly pipeline: string; readonly table: string }): JSX.Element | null {
	const [sample, setSample] = useState<TableSample | null>(null);
	const [error, setError] = useState<unknown>(null);
	const [asking, setAsking] = useState(false);
	if (session.value?.sample_rows !== true || !mayAdminister()) return null;
	const look = async () => {
		setAsking(true);
		try {
			setSample(await post<TableSample>(`${tableApi(pipeline, table)}/sample`));
			setError(null);
		} catch (failure) {
			setError(failure);
		}
		setAsking(false);
	};
	return (
		<section aria-label="Sample rows">
			<h2>Sample rows</h2>
			<p class="toolbar">
				<button type="button" class="button" disabled={asking} onClick={look}>
					{asking ? "Reading…" : sample === null ? "Show a few masked rows" : "Read again"}
				</button>
				<span class="quiet small">
					Every letter is an x, every digit a 9. Who looks is written into the audit list.
				</span>
			</p>
			{error === null ? null : <ErrorNotice error={error} />}
			{sample === null ? null : <Rows sample={sample} />}
		</section>
	);
}

function Rows({ sample }: { readonly sample: TableSample }): JSX.Element {
	const { columns, columns_left_out: leftOut, rows, into } = sample;
	if (rows.length === 0) return <p class="quiet">{into} has no rows.</p>;
	return (
		<>
			{/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard */}
			<section class="scroll" tabIndex={0} aria-label={`Rows of ${into}`}>
				<table>
					<thead>
						<tr>
							{columns.map(({ name, destination_type }) => (
								<th key={name} scope="col" class="mono" title={destination_type}>
									{name}
								</th>
							))}
						</tr>
					</thead>
					<tbody>
						{rows.map((row, index) => (
							<tr key={index}>
								{row.map((shape, place) => (
									<td key={columns[place]?.name} class="mono nowrap">
										{shape === null ? (
											<span class="quiet">NULL</span>
										) : shape === "" ? (
											<span class="quiet">empty</span>
										) : (
											shape
										)}
									</td>
								))}
							</tr>
						))}
					</tbody>
				</table>
			</section>
			{leftOut === 0 ? null : <p class="quiet small">and {plural(leftOut, "column")} more</p>}
		</>
	);
}
