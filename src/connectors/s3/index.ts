export { createS3FileStore } from "./file-store.ts";
export type { S3Options } from "./options.ts";
export { bucketPolicy, identityPolicy, type PolicyDocument } from "./policy.ts";
export { createS3Staging } from "./staging.ts";
