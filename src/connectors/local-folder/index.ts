export { createLocalFolderStaging } from "./staging.ts";
