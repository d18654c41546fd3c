import type { TableName } from "../../core/index.ts";
import { pathSegment } from "../../formats/index.ts";

/** Hidden folder of a file destination: versions of tables, positions of streams. */
export const HIDDEN_FOLDER = ".headrace";
/** A table version's record: its columns and files, and the load that made it. */
export const COMMIT_FILE = "_headrace.json";

/** The folder of a table: `shop.orders`. A dot or a leading underscore of a name itself is encoded. */
export function tableFolder({ schema, name }: TableName): string {
	const folder = schema === "" ? pathSegment(name) : `${pathSegment(schema)}.${pathSegment(name)}`;
	return folder.replace(/^_/, "%5F");
}
