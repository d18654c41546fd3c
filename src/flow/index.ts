export { cursorRefusal, isTimeCursor } from "./cursor.ts";
export type { Decision, Evolution, EvolveInput, ExistingShape, LandingColumn } from "./evolution.ts";
export { recordOf } from "./evolution-record.ts";
export { evolve } from "./evolve.ts";
export { type ColumnMask, type ColumnMasks, maskChange, maskedSchemaVersion, maskedType, maskNote } from "./mask.ts";
export { runTable } from "./run-table.ts";
export type { CurrentColumn } from "./schema-diff.ts";
export { type FlowContext, landingTask, type TableOutcome, type TableTask } from "./task.ts";
