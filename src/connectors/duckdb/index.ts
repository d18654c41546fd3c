import type { Destination } from "../../core/index.ts";
import { DuckdbDestination, type DuckdbDestinationOptions } from "./destination.ts";

export type { DuckdbDestinationOptions } from "./destination.ts";

/**
 * A DuckDB file to load into. It is opened by the first call that needs it.
 * @throws (from those calls) E_BUSY when another process has the file open, E_FILE_NOT_FOUND when its folder is
 * missing, E_CORRUPT_FILE when it is no DuckDB file
 */
export async function createDuckdbDestination(options: DuckdbDestinationOptions): Promise<Destination> {
	return new DuckdbDestination(options);
}
