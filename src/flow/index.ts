export { cursorRefusal, isTimeCursor } from "./cursor.ts";
export { runTable } from "./run-table.ts";
export type { FlowContext, TableOutcome, TableTask } from "./task.ts";
