import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { AuditEntry, AuditList } from "../../../src/server/api.ts";
import { Loaded } from "../parts/load.tsx";
import { StateText } from "../parts/mark.tsx";
import { Empty } from "../parts/notice.tsx";
import { Time } from "../parts/time.tsx";
import { useResource } from "../resource.ts";
import { useTitle } from "../shell.tsx";

const PAGE_ENTRIES = 100;
const OUTCOMES = { done: "succeeded", refused: "stopped", failed: "failed" } as const;

/** Who did what, when, and whether it was let. */
export function AuditPage(): JSX.Element {
	useTitle("Audit");
	const [pages, setPages] = useState<readonly (number | null)[]>([null]);
	const [text, setText] = useState("");
	return (
		<>
			<div class="page-head">
				<h1>Audit</h1>
			</div>
			<div class="toolbar">
				<input
					type="search"
					class="input"
					placeholder="Filter by person, action or subject"
					aria-label="Filter by person, action or subject"
					value={text}
					onInput={(event) => setText(event.currentTarget.value)}
				/>
			</div>
			{pages.map((before, index) => (
				<Part
					key={before ?? "newest"}
					before={before}
					text={text}
					onMore={index === pages.length - 1 ? (next) => setPages([...pages, next]) : null}
				/>
			))}
		</>
	);
}

function Part(props: {
	readonly before: number | null;
	readonly text: string;
	readonly onMore: ((before: number) => void) | null;
}): JSX.Element {
	const query = new URLSearchParams({ limit: String(PAGE_ENTRIES) });
	if (props.before !== null) query.set("before", String(props.before));
	const list = useResource<AuditList>(`/api/audit?${query}`);
	return (
		<Loaded of={list}>
			{({ entries, before }) =>
				entries.length === 0 ? (
					<Empty title="Nothing was done yet">
						<p>Each run, pause, cancel, login and token that somebody asks for is written down here.</p>
					</Empty>
				) : (
					<>
						<Entries entries={entries.filter((entry) => matches(entry, props.text))} />
						{before === null || props.onMore === null ? null : (
							<p>
								<button type="button" class="button" onClick={() => props.onMore?.(before)}>
									Older entries
								</button>
							</p>
						)}
					</>
				)
			}
		</Loaded>
	);
}

function matches({ who, action, subject, detail }: AuditEntry, text: string): boolean {
	return `${who} ${action} ${subject} ${detail}`.toLowerCase().includes(text.toLowerCase());
}

function Entries({ entries }: { readonly entries: readonly AuditEntry[] }): JSX.Element {
	return (
		<div class="scroll">
			<table>
				<thead>
					<tr>
						<th scope="col">When</th>
						<th scope="col">Who</th>
						<th scope="col">Action</th>
						<th scope="col">Subject</th>
						<th scope="col">Outcome</th>
						<th scope="col">Detail</th>
						<th scope="col">From</th>
					</tr>
				</thead>
				<tbody>
					{entries.map((entry) => (
						<tr key={entry.audit_id}>
							<td>
								<Time at={entry.at} />
							</td>
							<td>
								{entry.who}
								{entry.role === null ? null : <span class="quiet small"> {entry.role}</span>}
							</td>
							<td>{entry.action}</td>
							<td class="mono">{entry.subject}</td>
							<td>
								<StateText state={OUTCOMES[entry.outcome]} word={entry.outcome} />
							</td>
							<td class="wrap">{entry.detail}</td>
							<td class="quiet small nowrap">
								{entry.via}
								{entry.address === null ? "" : `, ${entry.address}`}
							</td>
						</tr>
					))}
				</tbody>
			</table>
		</div>
	);
}
