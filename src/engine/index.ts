export { EngineConnection, type Parameter, type ResultStream, type Value } from "./connection.ts";
export type { ConsumeRequest, ConsumeResult } from "./consume.ts";
export { ENGINE_MEMORY_BYTES_DEFAULT, Engine, type EngineOptions } from "./engine.ts";
export { type ErrorContext, engineError } from "./errors.ts";
export { ParquetFormat, type ParquetOptions, parquetRelation } from "./parquet.ts";
export { columnTypeOf, duckdbType, listText, selectList } from "./types.ts";
