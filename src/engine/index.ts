export { returnFreedMemory } from "./bindings.ts";
export { EngineConnection, type Parameter, type ResultStream, type Value } from "./connection.ts";
export type { ConsumeRequest, ConsumeResult } from "./consume.ts";
export { ENGINE_MEMORY_BYTES_DEFAULT, Engine, type EngineOptions } from "./engine.ts";
export { type ErrorContext, engineError } from "./errors.ts";
export { applyFolded, isDirect } from "./folded-changes.ts";
export { type FileWriter, type KeepOptions, keepEngines, openFileWriter } from "./kept-engines.ts";
export {
	checkUnique,
	createTable,
	intervalCondition,
	type Outcome,
	planOutcome,
	type StagedRows,
	stageIncoming,
} from "./load-rows.ts";
export { fieldsAfter, Incoming, oldNameOf, sameFields, tagOf } from "./load-shape.ts";
export { countsOf, mergeStaged, type StagedMerge, type Statements, stagedKeys } from "./merge-staged.ts";
export { ParquetFormat, type ParquetOptions, parquetRelation, storedAs } from "./parquet.ts";
export { applyStaged, renameStaged, type StagedChanges, settleStaged } from "./staged-changes.ts";
export { streamTextRows, textRows } from "./text-rows.ts";
export { columnTypeOf, duckdbType, listText, selectItem, selectList } from "./types.ts";
