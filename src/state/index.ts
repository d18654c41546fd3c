export { processHolder } from "./process-identity.ts";
export { SCHEMA_VERSION } from "./schema.ts";
export {
	DEFAULT_RETENTION,
	openStateStore,
	type Retention,
	type SqliteStateStore,
	type StateStoreOptions,
} from "./sqlite-state-store.ts";
