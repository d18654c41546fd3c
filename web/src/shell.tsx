import { signal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { useEffect } from "preact/hooks";
import { Link, useLocation } from "wouter-preact";
import type { Health } from "../../src/server/api.ts";
import { unreachable } from "./client.ts";
import { bytes, plural, roughly } from "./format.ts";
import { listShortcuts, useShortcut } from "./keys.ts";
import { draining } from "./live.ts";
import { Dialog } from "./parts/dialog.tsx";
import { useResource } from "./resource.ts";
import { mayAdminister, session, signOut } from "./session.tsx";
import { nextTheme, theme, zone } from "./settings.ts";

const helpOpen = signal(false);
const THEME_WORDS = { system: "System", light: "Light", dark: "Dark" } as const;

/** Sets the title of the browser's tab while a page is shown. */
export function useTitle(title: string): void {
	useEffect(() => {
		document.title = title === "" ? "Headrace" : `${title} · Headrace`;
	}, [title]);
}

/** What is around each page: the way to the others, the switches, and whether the server answers. */
export function Shell({ children }: { readonly children: ComponentChildren }): JSX.Element {
	const [path, go] = useLocation();
	useShortcut("?", "This help", () => {
		helpOpen.value = true;
	});
	useShortcut("g p", "Go to the pipelines", () => go("/"));
	useShortcut("g j", "Go to the queue", () => go("/jobs"));
	useShortcut("g c", "Go to the connections", () => go("/connections"));
	useShortcut("g a", "Go to the audit list", () => go("/audit"));
	useShortcut("/", "Filter what is listed", () => document.querySelector<HTMLElement>("input[type=search]")?.focus());
	useShortcut("t", "Light, dark, or as the system", nextTheme);
	useShortcut("u", "Times in UTC or in your zone", switchZone);
	const to = (href: string, text: string, isCurrent: boolean) => (
		<Link href={href} {...(isCurrent ? { "aria-current": "page" as const } : {})}>
			{text}
		</Link>
	);
	return (
		<>
			<a class="skip-link" href="#main">
				Skip to the content
			</a>
			<header class="top">
				<Link href="/" class="brand">
					<img src="/icon.svg" alt="" />
					Headrace
				</Link>
				<nav aria-label="Main">
					{to("/", "Pipelines", path === "/" || path.startsWith("/pipelines") || path.startsWith("/runs"))}
					{to("/jobs", "Queue", path === "/jobs")}
					{to("/connections", "Connections", path === "/connections")}
					{to("/audit", "Audit", path === "/audit")}
					{mayAdminister() ? to("/access", "Access", path === "/access") : null}
				</nav>
				<div class="top-right">
					<button type="button" class="button plain slim" onClick={switchZone} title="Zone of all times (u)">
						{zone.value === "UTC" ? "Times: UTC" : "Times: local"}
					</button>
					<button type="button" class="button plain slim" onClick={nextTheme} title="Light, dark, or as the system (t)">
						Theme: {THEME_WORDS[theme.value]}
					</button>
					<button
						type="button"
						class="button plain slim"
						aria-label="Keyboard shortcuts"
						title="Keyboard shortcuts (?)"
						onClick={() => {
							helpOpen.value = true;
						}}
					>
						?
					</button>
				</div>
			</header>
			<Connection />
			{children}
			<Foot />
			{helpOpen.value ? <Help /> : null}
		</>
	);
}

function switchZone(): void {
	zone.value = zone.value === "UTC" ? "local" : "UTC";
}

function Connection(): JSX.Element | null {
	if (!unreachable.value && !draining.value) return null;
	return (
		<div class="notice warn banner" role="status">
			{unreachable.value
				? "The server does not answer. What you see may be old; the page tries again by itself."
				: "The server is about to stop: runs at work end cleanly, and nothing new is begun."}
		</div>
	);
}

function Foot(): JSX.Element {
	const { data } = useResource<Health>("/api/health");
	const who = session.value;
	return (
		<footer class="foot">
			{who === null ? null : (
				<span>
					{who.project} · {who.name} ({who.role}){" "}
					<button type="button" class="button plain slim" onClick={() => void signOut()}>
						Sign out
					</button>
				</span>
			)}
			{data === null ? null : (
				<span>
					headrace {data.version} · up {roughly(data.uptime_seconds)} · {data.jobs_running} of{" "}
					{plural(data.jobs_max, "job")} at work, {data.jobs_queued} waiting · {bytes(data.rss_bytes)} of memory
				</span>
			)}
			{data === null || data.leads ? null : (
				<strong>
					This server stands by: {data.leader === null ? "no other leads yet" : `${data.leader} runs the pipelines`}.
				</strong>
			)}
			{data === null || data.history.sound ? null : <strong>History: {data.history.message}</strong>}
		</footer>
	);
}

function Help(): JSX.Element {
	return (
		<Dialog
			title="Keyboard shortcuts"
			onClose={() => {
				helpOpen.value = false;
			}}
		>
			<table class="shortcuts">
				<tbody>
					{listShortcuts().map(({ keys, text }) => (
						<tr key={keys}>
							<th scope="row">
								{keys.split(" ").map((key) => (
									<kbd key={key}>{key}</kbd>
								))}
							</th>
							<td>{text}</td>
						</tr>
					))}
				</tbody>
			</table>
			<p class="quiet small">Tab goes from one thing to the next, Enter opens it, Escape closes a dialog.</p>
		</Dialog>
	);
}
