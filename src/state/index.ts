export type { AccessStore } from "./access-store.ts";
export type { ChangeRequests } from "./change-requests.ts";
export { SCHEMA_VERSION } from "./migrations.ts";
export type { ServerSession } from "./postgres-database.ts";
export { holderText, processHolder } from "./process-identity.ts";
export {
	DEFAULT_RETENTION,
	openServerState,
	openStateStore,
	ProjectState,
	type Retention,
	type StateStoreOptions,
} from "./project-state.ts";
export type * from "./server-rows.ts";
export { newId, type ServerStore } from "./server-store.ts";
