export * from "./checks.ts";
export * from "./dialect.ts";
export * from "./interval.ts";
export * from "./merge.ts";
export * from "./postgres-merge.ts";
export * from "./redshift-merge.ts";
export * from "./table.ts";
export * from "./text-values.ts";
