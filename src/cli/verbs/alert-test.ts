import { EXIT, HeadraceError } from "../../core/errors.ts";
import type { Arguments } from "../arguments.ts";
import type { VerbContext, VerbResult } from "../context.ts";
import { appOf, readPipeline } from "../project.ts";

/** `headrace alert test <pipeline>` */
export async function run(context: VerbContext, args: Arguments): Promise<VerbResult> {
	const { output } = context;
	const { paint } = output;
	const pipeline = await readPipeline(context, args.required(0));
	if (pipeline.alerts.length === 0)
		throw new HeadraceError("E_USAGE", `${pipeline.name} has no alerts: nobody is told when it fails`, {
			pipeline: pipeline.name,
			hint: 'Add `alerts: [{ type: slack, url: "${env:SLACK_URL}" }]` to the pipeline, or to alerts.yaml for all.',
		});
	await using app = await appOf(pipeline.directory, context);
	const deliveries = await app.alertTest(pipeline, { signal: context.signal });
	const channels = deliveries.map(({ channel, error }) => {
		const type = pipeline.alerts.find(({ name }) => name === channel)?.type ?? "";
		return {
			channel,
			type,
			on: pipeline.alerts.find(({ name }) => name === channel)?.on ?? [],
			ok: error === null,
			error,
		};
	});
	for (const { channel, type, on, error } of channels) {
		const sign = error === null ? paint("green", "✓") : paint("red", "✗");
		output.print(`${sign} ${channel}  ${type}  on ${on.join(", ")}`);
		if (error === null) continue;
		output.print(`    ${error.code}  ${error.message}`);
		output.print(`    cure: ${error.hint}`);
		if (output.quiet) output.error(`${error.code}  ${error.message}`);
	}
	const errors = channels.flatMap(({ error }) => (error === null ? [] : [error]));
	return {
		data: { channels: channels.map(({ error, ...channel }) => ({ ...channel, error: error?.message ?? null })) },
		exit: errors.length === 0 ? EXIT.done : EXIT.failed,
		errors,
	};
}
