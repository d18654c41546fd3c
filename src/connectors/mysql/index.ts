export type { MysqlOptions } from "./options.ts";
export { createMysqlSource } from "./source.ts";
