/** DuckDB's own COPY of a folder's Parquet files into one: `node scripts/benchmark/duckdb-copy.ts <folder> <file>` */
import { openDuckdb } from "./duckdb.ts";

const [folder, file] = process.argv.slice(2);
await using duckdb = await openDuckdb();
await duckdb.run(
	`COPY (SELECT * FROM read_parquet('${folder}/*.parquet')) TO '${file}' (FORMAT parquet, COMPRESSION zstd)`,
);
