export { createLakeDestination, type LakeOptions } from "./destination.ts";
export type { GlueOptions } from "./glue-client.ts";
