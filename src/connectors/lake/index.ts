export { createLakeDestination, type LakeOptions } from "./destination.ts";
