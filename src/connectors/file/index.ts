export { stagedFormats } from "./formats.ts";
export { createFileSource, type FileSourceOptions } from "./source.ts";
