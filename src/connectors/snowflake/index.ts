export { createSnowflakeDestination } from "./destination.ts";
export { grantStatements, integrationStatement, readPolicy, trustPolicy } from "./grants.ts";
export type { SnowflakeOptions } from "./options.ts";
