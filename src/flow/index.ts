export { cursorRefusal, isTimeCursor } from "./cursor.ts";
export { type ColumnMask, type ColumnMasks, maskChange, maskedSchemaVersion, maskedType, maskNote } from "./mask.ts";
export { runTable } from "./run-table.ts";
export type { FlowContext, TableOutcome, TableTask } from "./task.ts";
