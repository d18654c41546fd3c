export { connect, type PostgresOptions } from "./connect.ts";
export { createPostgresDestination } from "./destination.ts";
export { createPostgresSource } from "./source.ts";
