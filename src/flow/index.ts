export { compareCursor, cursorRefusal, intervalWindow, isTimeCursor, nextCursor } from "./cursor.ts";
export { runTable } from "./run-table.ts";
export { pathSegment } from "./staged-paths.ts";
export type { FlowContext, TableOutcome, TableTask } from "./task.ts";
export { wallClock } from "./wall-clock.ts";
