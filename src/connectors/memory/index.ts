export type { MemoryLogOptions } from "./change-log.ts";
export { type MemoryColumn, MemoryDatabase, type MemoryTable, type MemoryTransaction } from "./database.ts";
export { type MemoryDestinationOptions, memoryDestination } from "./destination.ts";
export type { LoggedChange, LoggedEntry, MemoryLog } from "./log.ts";
export { type MemorySourceOptions, memorySource } from "./source.ts";
export { MemoryFolder, type MemoryStagingOptions, memoryStaging } from "./staging.ts";
export { MemoryState, type MemoryStateStoreOptions, memoryStateStore } from "./state-store.ts";
export type { RowInput, Value } from "./values.ts";
export { type LoadRow, MemoryWarehouse, type WarehouseState, type WarehouseTable } from "./warehouse.ts";
