import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { CheckAnswer } from "../../src/server/api.ts";
import { pipelineApi } from "./addresses.ts";
import { post } from "./client.ts";
import { duration } from "./format.ts";
import { Dialog } from "./parts/dialog.tsx";
import { Findings } from "./parts/findings.tsx";
import { StateText } from "./parts/mark.tsx";
import { ErrorNotice } from "./parts/notice.tsx";

const checked = signal<string | null>(null);

/** Connects to everything that a pipeline uses, as `headrace check` does, and shows what was found. */
export function showCheck(pipeline: string): void {
	checked.value = pipeline;
}

/** Where the dialog of `showCheck` appears. */
export function CheckDialogs(): JSX.Element | null {
	const pipeline = checked.value;
	return pipeline === null ? null : <CheckDialog key={pipeline} pipeline={pipeline} />;
}

function CheckDialog({ pipeline }: { readonly pipeline: string }): JSX.Element {
	const [answer, setAnswer] = useState<CheckAnswer | null>(null);
	const [error, setError] = useState<unknown>(null);
	useEffect(() => {
		post<CheckAnswer>(`${pipelineApi(pipeline)}/check`).then(setAnswer, setError);
	}, [pipeline]);
	return (
		<Dialog
			title={`Check ${pipeline}`}
			onClose={() => {
				checked.value = null;
			}}
		>
			<p class="quiet">Connections, rights, settings and unfinished work. Nothing is changed.</p>
			{error === null ? null : <ErrorNotice error={error} />}
			<div role="status">
				{answer === null ? (
					error === null ? (
						"Connecting…"
					) : null
				) : (
					<>
						<p>
							<StateText
								state={answer.ok ? "succeeded" : "failed"}
								word={answer.ok ? "Everything is there" : "Something is missing"}
							/>{" "}
							<span class="quiet">{duration(answer.seconds)}</span>
						</p>
						<Findings findings={answer.findings} />
					</>
				)}
			</div>
		</Dialog>
	);
}
