import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Link } from "wouter-preact";
import type { SettingsDiff } from "../../../src/server/api.ts";
import { runApi, runUrl } from "../addresses.ts";
import { plural } from "../format.ts";
import { useResource } from "../resource.ts";

/** Lines that stay are shown this far around what changed. */
const AROUND = 3;
const SIGNS = { same: " ", added: "+", removed: "−" } as const;
const WORDS = { same: "", added: "new: ", removed: "gone: " } as const;

/** What changed in the pipeline's file since the run before; nothing when that is not known. */
export function SettingsChange({ runId }: { readonly runId: string }): JSX.Element | null {
	const { data } = useResource<SettingsDiff>(`${runApi(runId)}/settings`);
	const [whole, setWhole] = useState(false);
	if (data === null || data.state === "unknown") return null;
	const changed = data.lines.filter(({ kind }) => kind !== "same").length;
	const shown = whole ? data.lines.map(() => true) : nearChanges(data.lines);
	return (
		<>
			<h2>Pipeline file</h2>
			<p>
				{data.state === "changed" && data.previous_run_id !== null ? (
					<>
						{plural(changed, "line")} differ from <Link href={runUrl(data.previous_run_id)}>the run before</Link>.{" "}
					</>
				) : data.state === "same" ? (
					<>
						As in the run before
						{data.since_run_id === null || data.since_run_id === data.run_id ? null : (
							<>
								, since <Link href={runUrl(data.since_run_id)}>this run</Link>
							</>
						)}
						.{" "}
					</>
				) : (
					"Kept for the first time with this run. "
				)}
				<button type="button" class="button plain slim" aria-expanded={whole} onClick={() => setWhole(!whole)}>
					{whole ? "Show less" : "Show the whole file"}
				</button>
			</p>
			{shown.some(Boolean) ? (
				// It scrolls: a keyboard must reach it.
				// biome-ignore lint/a11y/noNoninteractiveTabindex: see above
				<pre class="diff" tabIndex={0}>
					{data.lines.map(({ kind, text }, index) =>
						shown[index] === true ? (
							<div key={index} class={`diff-${kind}`}>
								<span aria-hidden="true">{SIGNS[kind]} </span>
								<span class="visually-hidden">{WORDS[kind]}</span>
								{text}
							</div>
						) : shown[index - 1] === true ? (
							<div key={index} class="quiet">
								…
							</div>
						) : null,
					)}
				</pre>
			) : null}
		</>
	);
}

function nearChanges(lines: SettingsDiff["lines"]): boolean[] {
	return lines.map((_line, index) =>
		lines.slice(Math.max(0, index - AROUND), index + AROUND + 1).some(({ kind }) => kind !== "same"),
	);
}
