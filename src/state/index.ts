export type { AccessStore } from "./access-store.ts";
export type { ChangeRequests } from "./change-requests.ts";
export { processHolder } from "./process-identity.ts";
export { SCHEMA_VERSION } from "./schema.ts";
export type * from "./server-rows.ts";
export { newId, type ServerStore } from "./server-store.ts";
export {
	DEFAULT_RETENTION,
	openStateStore,
	type Retention,
	type SqliteStateStore,
	type StateStoreOptions,
} from "./sqlite-state-store.ts";
