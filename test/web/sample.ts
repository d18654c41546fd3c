/**
 * A made-up project in every state that a page can show, as the server would tell of it: for pictures, and for looking
 * at states that are hard to bring about. What the page does is tried on the real server.
 */
export { detailOf, pipelines } from "./sample-pipelines.ts";
export { log, runOf } from "./sample-run.ts";
export { shopRuns } from "./sample-runs.ts";
export { audit, changes, connections, health, jobs, session, tokens } from "./sample-system.ts";
export { calendar, lineage, settings, tablePage, tableSample } from "./sample-table.ts";
