export { captureChanges } from "./change-capture.ts";
export type { CaptureContext, FlushBounds } from "./change-context.ts";
export {
	CHANGES_STREAM,
	caughtUp,
	changesPosition,
	heldBack,
	pauseTable,
	resumeTable,
	withoutTable,
} from "./change-state.ts";
export { type ChangeLanding, changeTarget, columnsAdded, type Deletes } from "./change-target.ts";
export { BIG_TABLE_ROWS, CHUNKS_KEPT_MS } from "./chunked-extract.ts";
export { sweepStaging } from "./clean-staging.ts";
export { cursorRefusal, isTimeCursor } from "./cursor.ts";
export type { Decision, Evolution, EvolveInput, ExistingShape, LandingColumn } from "./evolution.ts";
export { recordOf } from "./evolution-record.ts";
export { evolve } from "./evolve.ts";
export { type ColumnMask, type ColumnMasks, maskChange, maskedSchemaVersion, maskedType, maskNote } from "./mask.ts";
export { addOutcomes } from "./outcome.ts";
export { runTable } from "./run-table.ts";
export type { CurrentColumn } from "./schema-diff.ts";
export type { KeptColumn } from "./shape-rows.ts";
export { type FlowContext, landingTask, type TableOutcome, type TableTask } from "./task.ts";
