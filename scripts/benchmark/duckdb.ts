/** A few lines over DuckDB's bindings: the benchmark makes its data in it and compares copies in it. */
import duckdb from "@duckdb/node-bindings";

export interface Duckdb extends AsyncDisposable {
	run(sql: string): Promise<void>;
	/** The rows as JSON gives them: decimals and bigints past 2^53 belong into text by a cast. */
	rows(sql: string): Promise<Record<string, unknown>[]>;
	close(): void;
}

/** The text in the first row of a one-column result. DuckDB keeps up to 12 bytes in place, longer ones behind a pointer. */
function firstText(chunk: duckdb.DataChunk): string {
	const entry = Buffer.from(duckdb.vector_get_data(duckdb.data_chunk_get_vector(chunk, 0), 16));
	const length = entry.readUInt32LE(0);
	if (length <= 12) return entry.toString("utf8", 4, 4 + length);
	const { buffer, byteOffset } = entry;
	return Buffer.from(duckdb.get_data_from_pointer(buffer as ArrayBuffer, byteOffset + 8, length)).toString("utf8");
}

/** Opens a database file, or one in memory. */
export async function openDuckdb(path = ":memory:", settings: Record<string, string> = {}): Promise<Duckdb> {
	const config = duckdb.create_config();
	for (const [name, value] of Object.entries(settings)) duckdb.set_config(config, name, value);
	const database = await duckdb.open(path, config);
	const connection = await duckdb.connect(database);
	const close = () => {
		duckdb.disconnect_sync(connection);
		duckdb.close_sync(database);
	};
	return {
		async run(sql) {
			await duckdb.query(connection, sql);
		},
		async rows(sql) {
			const result = await duckdb.query(connection, `select to_json(list(q))::varchar from (${sql}) q`);
			const chunk = await duckdb.fetch_chunk(result);
			if (chunk === null || duckdb.data_chunk_get_size(chunk) === 0) return [];
			const validity = duckdb.vector_get_validity(duckdb.data_chunk_get_vector(chunk, 0), 8);
			if (validity !== null && ((validity[0] ?? 1) & 1) === 0) return [];
			return JSON.parse(firstText(chunk)) as Record<string, unknown>[];
		},
		close,
		[Symbol.asyncDispose]: async () => close(),
	};
}
