import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Link, Route, Switch, useLocation } from "wouter-preact";
import { CheckDialogs } from "./check-dialog.tsx";
import { signedOut } from "./client.ts";
import { AccessPage } from "./pages/access.tsx";
import { AuditPage } from "./pages/audit.tsx";
import { CalendarPage } from "./pages/calendar.tsx";
import { ChangesPage } from "./pages/changes.tsx";
import { ConnectionsPage } from "./pages/connections.tsx";
import { JobsPage } from "./pages/jobs.tsx";
import { LineagePage } from "./pages/lineage.tsx";
import { LogPage } from "./pages/log.tsx";
import { PipelinePage } from "./pages/pipeline.tsx";
import { PipelinesPage } from "./pages/pipelines.tsx";
import { RunPage } from "./pages/run.tsx";
import { RunsPage } from "./pages/runs.tsx";
import { TablePage } from "./pages/table.tsx";
import { Dialogs } from "./parts/dialog.tsx";
import { Empty, ErrorNotice } from "./parts/notice.tsx";
import { SignIn, session, start, startError } from "./session.tsx";
import { Shell } from "./shell.tsx";

/** The whole page: who is not signed in sees nothing but the way in. */
export function App(): JSX.Element {
	useEffect(() => {
		void start();
	}, []);
	if (signedOut.value) return <SignIn />;
	if (session.value === null)
		return (
			<main>
				{startError.value === null ? <p class="quiet">Loading…</p> : <ErrorNotice error={startError.value} />}
			</main>
		);
	return (
		<>
			<Shell>
				<Pages />
			</Shell>
			<Dialogs />
			<CheckDialogs />
		</>
	);
}

/** One page of an address. Each sets the title; the focus goes to it, so that a reader's cursor starts at its top. */
function Pages(): JSX.Element {
	const [path] = useLocation();
	const main = useRef<HTMLElement>(null);
	const before = useRef(path);
	useEffect(() => {
		if (before.current === path) return;
		before.current = path;
		main.current?.focus({ preventScroll: true });
		scrollTo(0, 0);
	}, [path]);
	return (
		<main id="main" ref={main} tabIndex={-1}>
			<Switch>
				<Route path="/">{() => <PipelinesPage />}</Route>
				<Route path="/pipelines/:pipeline">
					{({ pipeline }) => <PipelinePage key={pipeline} pipeline={pipeline} />}
				</Route>
				<Route path="/pipelines/:pipeline/runs">
					{({ pipeline }) => <RunsPage key={pipeline} pipeline={pipeline} />}
				</Route>
				<Route path="/pipelines/:pipeline/calendar">
					{({ pipeline }) => <CalendarPage key={pipeline} pipeline={pipeline} />}
				</Route>
				<Route path="/pipelines/:pipeline/changes">
					{({ pipeline }) => <ChangesPage key={pipeline} pipeline={pipeline} />}
				</Route>
				<Route path="/pipelines/:pipeline/lineage">
					{({ pipeline }) => <LineagePage key={pipeline} pipeline={pipeline} />}
				</Route>
				<Route path="/pipelines/:pipeline/tables/:table">
					{({ pipeline, table }) => <TablePage key={`${pipeline} ${table}`} pipeline={pipeline} table={table} />}
				</Route>
				<Route path="/runs/:run">{({ run }) => <RunPage key={run} runId={run} />}</Route>
				<Route path="/runs/:run/log">{({ run }) => <LogPage key={run} runId={run} />}</Route>
				<Route path="/jobs">{() => <JobsPage />}</Route>
				<Route path="/connections">{() => <ConnectionsPage />}</Route>
				<Route path="/audit">{() => <AuditPage />}</Route>
				<Route path="/access">{() => <AccessPage />}</Route>
				<Route>
					{() => (
						<Empty title="There is no such page">
							<p>
								<Link href="/">All pipelines</Link>
							</p>
						</Empty>
					)}
				</Route>
			</Switch>
		</main>
	);
}
