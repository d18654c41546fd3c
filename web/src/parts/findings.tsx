import type { JSX } from "preact";
import type { Finding } from "../../../src/server/api.ts";
import { StateText } from "./mark.tsx";

const STATES = { ok: "succeeded", warning: "warning", error: "failed" } as const;
const WORDS = { ok: "fine", warning: "warning", error: "error" } as const;

/** What a check found, with the statement that cures it. */
export function Findings({ findings }: { readonly findings: readonly Finding[] }): JSX.Element | null {
	if (findings.length === 0) return null;
	return (
		<ul class="findings">
			{findings.map(({ subject, severity, message, remedy }) => (
				<li key={`${subject}${message}`}>
					<StateText state={STATES[severity]} word={WORDS[severity]} /> <strong>{subject}</strong> {message}
					{remedy === null ? null : <pre class="remedy">{remedy}</pre>}
				</li>
			))}
		</ul>
	);
}
