import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Link } from "wouter-preact";
import type { CheckAnswer, ConnectionItem, ConnectionList } from "../../../src/server/api.ts";
import { connectionApi, pipelineUrl } from "../addresses.ts";
import { post } from "../client.ts";
import { duration } from "../format.ts";
import { Findings } from "../parts/findings.tsx";
import { Loaded } from "../parts/load.tsx";
import { StateText } from "../parts/mark.tsx";
import { Empty, ErrorNotice } from "../parts/notice.tsx";
import { useResource } from "../resource.ts";
import { mayOperate } from "../session.tsx";
import { useTitle } from "../shell.tsx";

/** Systems that data comes from and goes to; where their secrets come from, never the secrets. */
export function ConnectionsPage(): JSX.Element {
	useTitle("Connections");
	return (
		<>
			<div class="page-head">
				<h1>Connections</h1>
			</div>
			<Loaded of={useResource<ConnectionList>("/api/connections")}>
				{({ connections }) =>
					connections.length === 0 ? (
						<Empty title="No connections yet">
							<p>
								They are named in <code>connections.yaml</code>, with their secrets by reference:
							</p>
							<pre>{"shop_prod: mysql://reader:${env:SHOP_PASSWORD}@db.internal:3306/prod"}</pre>
						</Empty>
					) : (
						<div class="scroll">
							<table class="connections">
								<thead>
									<tr>
										<th scope="col">Name</th>
										<th scope="col">Type</th>
										<th scope="col">Address</th>
										<th scope="col">TLS</th>
										<th scope="col">Secrets come from</th>
										<th scope="col">Used by</th>
										<td />
									</tr>
								</thead>
								<tbody>
									{connections.map((each) => (
										<Row key={each.name} connection={each} />
									))}
								</tbody>
							</table>
						</div>
					)
				}
			</Loaded>
		</>
	);
}

function Row({ connection }: { readonly connection: ConnectionItem }): JSX.Element {
	const { name, type, address, host, tls, secrets, used_by, problems } = connection;
	const [answer, setAnswer] = useState<CheckAnswer | "asking" | null>(null);
	const [error, setError] = useState<unknown>(null);
	const test = async () => {
		setAnswer("asking");
		setError(null);
		try {
			setAnswer(await post<CheckAnswer>(`${connectionApi(name)}/test`));
		} catch (failure) {
			setAnswer(null);
			setError(failure);
		}
	};
	const done = answer !== null && answer !== "asking" ? answer : null;
	return (
		<>
			<tr>
				<th scope="row">{name}</th>
				<td>{type ?? "–"}</td>
				<td class="mono">
					{address ?? host ?? "–"}
					{problems.map((problem) => (
						<div key={problem.message} class="fault small">
							<StateText
								state="failed"
								word={[problem.file, problem.line, problem.column].filter((each) => each !== null).join(":")}
							/>{" "}
							{problem.code}: {problem.message}
						</div>
					))}
				</td>
				<td>
					<Tls tls={tls} />
				</td>
				<td class="mono">
					{secrets.map(({ key, reference }) => (
						<div key={key}>
							{key}: {reference}
						</div>
					))}
				</td>
				<td>
					{used_by.map(({ pipeline, role }) => (
						<div key={`${pipeline}${role}`}>
							<Link href={pipelineUrl(pipeline)}>{pipeline}</Link> <span class="quiet small">{role}</span>
						</div>
					))}
					{used_by.length === 0 ? <span class="quiet">no pipeline</span> : null}
				</td>
				<td class="number">
					<button type="button" class="button slim" disabled={!mayOperate() || answer === "asking"} onClick={test}>
						{answer === "asking" ? "Testing…" : "Test"}
						<span class="visually-hidden"> {name}</span>
					</button>
				</td>
			</tr>
			{done === null && error === null ? null : (
				<tr class="detail">
					<td colSpan={7} role="status">
						{done === null ? null : (
							<>
								<StateText
									state={done.ok ? "succeeded" : "failed"}
									word={done.ok ? "It answers, and its rights suffice" : "Something is missing"}
								/>{" "}
								<span class="quiet">{duration(done.seconds)}</span>
								<Findings findings={done.findings} />
							</>
						)}
						{error === null ? null : <ErrorNotice error={error} />}
					</td>
				</tr>
			)}
		</>
	);
}

function Tls({ tls }: { readonly tls: ConnectionItem["tls"] }): JSX.Element {
	if (tls === "on") return <StateText state="succeeded" word="on, verified" />;
	if (tls === "off") return <StateText state="warning" word="off" />;
	if (tls === "insecure") return <StateText state="warning" word="not verified" />;
	return <span class="quiet">{tls === null ? "–" : "no network"}</span>;
}
