import { duckdbDialect } from "../../sql/index.ts";

/** A path as a literal that DuckDB takes as the one file of that name: in its globs a set of one stands for itself. */
export function pathLiteral(path: string): string {
	return duckdbDialect.quoteLiteral(path.replace(/[*?[]/g, "[$&]"));
}
