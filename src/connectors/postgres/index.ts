export type { PostgresOptions } from "./connect.ts";
export { createPostgresSource } from "./source.ts";
