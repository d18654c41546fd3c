import { stringify } from "yaml";
import type { PipelineInput } from "./define-pipeline.ts";

const ORDER = ["pipeline", "from", "to", "staging", "schedule", "timezone", "start", "catchup"];

/** A pipeline as the text of a file, as `copy --save` writes it; reading it again gives the same pipeline. */
export function pipelineText(input: PipelineInput): string {
	const keys = Object.keys(input).sort((a, b) => rank(a) - rank(b));
	const ordered = Object.fromEntries(keys.map((key) => [key, input[key as keyof PipelineInput]]));
	const comment = "# yaml-language-server: $schema=../.headrace/pipeline.schema.json\n";
	return comment + stringify(ordered, { lineWidth: 0, version: "1.2" });
}

function rank(key: string): number {
	const at = ORDER.indexOf(key);
	return at < 0 ? ORDER.length : at;
}
