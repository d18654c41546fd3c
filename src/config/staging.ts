import type { Connection } from "./pipeline.ts";

/** Why files can't be staged there on their way, and which key of the pipeline is to be changed; null when they can. */
export function unfitStaging(
	to: Connection,
	staging: Connection | undefined,
): { readonly key: "to" | "staging"; readonly message: string } | null {
	if (staging !== undefined && staging.type !== "s3" && staging.type !== "file")
		return { key: "staging", message: "staging must be an s3 connection or a folder" };
	if (to.type !== "redshift" || staging?.type === "s3") return null;
	return staging === undefined
		? { key: "to", message: "to is Redshift, which reads staged files from S3: add staging, an s3 connection" }
		: { key: "staging", message: "staging must be an s3 connection: Redshift reads staged files from S3" };
}
