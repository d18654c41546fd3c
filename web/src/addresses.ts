/** Addresses of the page itself and of the API. Names may hold any character: each is percent-encoded. */

const part = encodeURIComponent;

export const pipelineUrl = (pipeline: string) => `/pipelines/${part(pipeline)}`;
export const tableUrl = (pipeline: string, table: string) => `/pipelines/${part(pipeline)}/tables/${part(table)}`;
export const lineageUrl = (pipeline: string, table: string) =>
	`/pipelines/${part(pipeline)}/lineage?${new URLSearchParams({ table })}`;
export const runUrl = (runId: string) => `/runs/${part(runId)}`;

/** The log of a run; of one table, and at its first error, when asked. */
export function logUrl(runId: string, options: { readonly task?: string; readonly firstError?: boolean } = {}): string {
	const query = new URLSearchParams();
	if (options.task !== undefined && options.task !== "") query.set("table", options.task);
	if (options.firstError === true) query.set("at", "first-error");
	return `/runs/${part(runId)}/log${query.size === 0 ? "" : `?${query}`}`;
}

export const pipelineApi = (pipeline: string) => `/api/pipelines/${part(pipeline)}`;
export const tableApi = (pipeline: string, table: string) => `${pipelineApi(pipeline)}/tables/${part(table)}`;
export const runApi = (runId: string) => `/api/runs/${part(runId)}`;
export const jobApi = (jobId: string) => `/api/jobs/${part(jobId)}`;
export const connectionApi = (name: string) => `/api/connections/${part(name)}`;

/** The part of a run's id that people read: its time and the end that tells it from others. */
export function shortRunId(runId: string): string {
	return runId.length <= 22 ? runId : `${runId.slice(0, 15)}…${runId.slice(-4)}`;
}
