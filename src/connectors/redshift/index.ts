export type { Maintenance, RedshiftOptions } from "./connect.ts";
export { createRedshiftDestination } from "./destination.ts";
export { loaderStatements, rolePolicy, roleTrust, type StagedPlace, warehouseArnOf } from "./grants.ts";
