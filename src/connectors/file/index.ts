export { createFileDestination, type FileDestinationOptions } from "./destination.ts";
export { stagedFormats } from "./formats.ts";
export { createFileSource, type FileSourceOptions } from "./source.ts";
