import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Link, useSearchParams } from "wouter-preact";
import type { Lineage, LineageColumn, PipelineDetail } from "../../../src/server/api.ts";
import { pipelineApi, tableUrl } from "../addresses.ts";
import { Loaded } from "../parts/load.tsx";
import { StateText } from "../parts/mark.tsx";
import { Empty } from "../parts/notice.tsx";
import { Time } from "../parts/time.tsx";
import { useResource } from "../resource.ts";
import { useTitle } from "../shell.tsx";
import { PipelineHead } from "./pipeline-head.tsx";

type LineageTable = Lineage["tables"][number];

const FIDELITY = {
	exact: ["succeeded", "exact"],
	lossy: ["warning", "lossy"],
	refused: ["failed", "refused"],
} as const;

/** Where each column of the destination comes from, and what reads the tables there. */
export function LineagePage({ pipeline }: { readonly pipeline: string }): JSX.Element {
	useTitle(`Lineage of ${pipeline}`);
	const detail = useResource<PipelineDetail>(pipelineApi(pipeline));
	const lineage = useResource<Lineage>(`${pipelineApi(pipeline)}/lineage`);
	return (
		<>
			<PipelineHead pipeline={pipeline} detail={detail.data} tab="lineage" />
			<Loaded of={lineage}>
				{(data) =>
					data.tables.length === 0 ? (
						<Empty title="Not known yet">
							<p>A run writes down which column goes where. It is shown here after the first one.</p>
						</Empty>
					) : (
						<LineageView data={data} />
					)
				}
			</Loaded>
		</>
	);
}

function LineageView({ data }: { readonly data: Lineage }): JSX.Element {
	const [query, setQuery] = useSearchParams();
	const [search, setSearch] = useState("");
	const wanted = query.get("table");
	const table = data.tables.find((each) => each.table === wanted) ?? data.tables[0]!;
	const text = search.toLowerCase();
	const columns = table.columns.filter(({ source, name }) => `${source} ${name}`.toLowerCase().includes(text));
	const readers = data.summaries.filter(({ reads }) => reads.includes(table.into));
	return (
		<>
			<div class="toolbar">
				<label>
					Table{" "}
					<select
						class="input"
						value={table.table}
						onChange={(event) => setQuery({ table: event.currentTarget.value }, { replace: true })}
					>
						{data.tables.map((each) => (
							<option key={each.table}>{each.table}</option>
						))}
					</select>
				</label>
				<input
					type="search"
					class="input"
					placeholder="Filter columns"
					aria-label="Filter columns by name"
					value={search}
					onInput={(event) => setSearch(event.currentTarget.value)}
				/>
				<span class="quiet small">
					as planned <Time at={table.seen_at} />
				</span>
			</div>
			<ol class="flow" aria-label={`The way of ${table.table}`}>
				<li>
					<span class="quiet small">{data.from ?? "source"}</span>
					<Link href={tableUrl(data.pipeline, table.table)}>{table.table}</Link>
				</li>
				<li>
					<span class="quiet small">{data.to ?? "destination"}</span>
					<span class="mono">{table.into}</span>
				</li>
				{readers.length === 0 ? null : (
					<li>
						<span class="quiet small">summaries</span>
						{readers.map(({ name, into }) => (
							<span key={name} class="mono" title={name}>
								{into}
							</span>
						))}
					</li>
				)}
			</ol>
			<Columns table={table} columns={columns} />
			{columns.length === 0 ? <p class="quiet">No column matches the filter.</p> : null}
			<Summaries data={data} />
		</>
	);
}

function Columns(props: { readonly table: LineageTable; readonly columns: readonly LineageColumn[] }): JSX.Element {
	const { table, columns } = props;
	return (
		<div class="scroll">
			<table class="lineage">
				<thead>
					<tr>
						<th scope="col">From {table.table}</th>
						<th scope="col">Type</th>
						<td />
						<th scope="col">To {table.into}</th>
						<th scope="col">Type</th>
						<th scope="col">Arrives</th>
						<th scope="col">What happens to it</th>
					</tr>
				</thead>
				<tbody>
					{columns.map((column) => (
						<tr key={`${column.source} ${column.name}`} class={column.name === null ? "gone" : ""}>
							<th scope="row" class="mono">
								{column.source ?? <span class="quiet">nothing</span>}
							</th>
							<td class="mono">{column.source_type}</td>
							<td>
								<Arrow open={column.name !== null} />
							</td>
							<td class="mono">
								{column.name ?? <span class="quiet">nowhere</span>}
								{column.name !== null && table.key.includes(column.name) ? <span class="quiet"> key</span> : null}
							</td>
							<td class="mono">{column.destination_type}</td>
							<td>
								{column.fidelity === null ? null : (
									<StateText state={FIDELITY[column.fidelity][0]} word={FIDELITY[column.fidelity][1]} />
								)}
							</td>
							<td>{whatHappens(column)}</td>
						</tr>
					))}
				</tbody>
			</table>
		</div>
	);
}

function Arrow({ open }: { readonly open: boolean }): JSX.Element {
	return (
		<svg class={open ? "arrow" : "arrow closed"} viewBox="0 0 48 16" aria-hidden="true">
			<path d={open ? "M2 8h42m-6-5l6 5-6 5" : "M2 8h28m0-5v10"} />
		</svg>
	);
}

const CHANGES = {
	copied: "",
	renamed: "renamed",
	dropped: "dropped by the file",
	"left out": "left out by schema_changes",
	added: "added",
} as const;

function whatHappens({ change, mask, note }: LineageColumn): string {
	// The note of a mask says which one; that of an added column why.
	const words = [
		change === "added" && note !== null ? "" : CHANGES[change],
		mask !== null && note === null ? "masked" : "",
	];
	return [...words, note ?? ""].filter((word) => word !== "").join("; ");
}

function Summaries({ data }: { readonly data: Lineage }): JSX.Element | null {
	if (data.summaries.length === 0) return null;
	return (
		<>
			<h2>Summaries</h2>
			<ul>
				{data.summaries.map(({ name, into, reads }) => (
					<li key={name}>
						<span class="mono">{into}</span>{" "}
						{reads.length === 0 ? (
							<span class="quiet">reads no table of the pipeline by its name</span>
						) : (
							<>
								reads <span class="mono">{reads.join(", ")}</span>
							</>
						)}
					</li>
				))}
			</ul>
		</>
	);
}
