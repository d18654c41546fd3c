import { createReadStream } from "node:fs";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createGunzip, createZstdDecompress } from "node:zlib";
import type pg from "pg";
import { CopyInStatement } from "../../../src/connectors/postgres/copy-in.ts";
import type { CopyCommand } from "./copy-options.ts";
import { RedshiftError } from "./errors.ts";
import { parquetToCsv, type TableColumn } from "./parquet.ts";
import type { S3Reader } from "./s3-reader.ts";

export interface LoadError {
	readonly file: string;
	readonly line: number;
	readonly column: string;
	readonly type: string;
	readonly value: string;
	readonly code: number;
	readonly reason: string;
}

interface Entry {
	readonly bucket: string;
	readonly key: string;
	readonly mandatory: boolean;
	readonly contentLength: number | null;
}

const IN_FLIGHT_BYTES = 4 << 20;

/**
 * Loads files of S3 into a table of the backend, in the client's transaction; gives the rows.
 * @throws the backend's errors, and a LoadFailure for a bad row
 */
export async function copyFromS3(client: pg.Client, command: CopyCommand, s3: S3Reader): Promise<number> {
	const columns = await columnsOf(client, command);
	const entries = command.manifest ? await manifestEntries(s3, command) : await prefixEntries(s3, command);
	const folder = await mkdtemp(join(tmpdir(), "headrace-redshift-stand-in-"));
	// The next file comes from S3 and is read while the backend takes the one before.
	const prepare = (at: number) =>
		at < entries.length ? prepared(s3, command, columns, entries[at]!, folder, at) : null;
	let rows = 0;
	let coming = prepare(0);
	try {
		for (let at = 0; at < entries.length; at++) {
			const file = await coming!;
			coming = prepare(at + 1);
			coming?.catch(() => {});
			if (file === null) continue;
			if (command.load) rows += await feed(client, command, columns, file);
			await rm(file.path, { force: true });
		}
		return rows;
	} finally {
		await coming?.catch(() => {});
		await rm(folder, { recursive: true, force: true });
	}
}

/** A file of S3 on the local disk, as the backend reads it; null for one that is missing and may be. */
async function prepared(
	s3: S3Reader,
	command: CopyCommand,
	columns: readonly TableColumn[],
	entry: Entry,
	folder: string,
	at: number,
): Promise<{ readonly path: string; readonly url: string; readonly parquet: boolean } | null> {
	const url = `s3://${entry.bucket}/${entry.key}`;
	const local = join(folder, `${at}`);
	if ((await fetchEntry(s3, entry, local)) === null) return null;
	if (entry.contentLength !== null && entry.contentLength !== (await stat(local)).size)
		throw new RedshiftError(
			"XX000",
			`File '${url}' has another size than the manifest's content_length ${entry.contentLength}`,
		);
	if (command.format !== "parquet") return { path: local, url, parquet: false };
	const csv = `${local}.csv`;
	await parquetToCsv({ parquet: local, csv, folder, url }, columns);
	await rm(local, { force: true });
	return { path: csv, url, parquet: true };
}

/** A bad row: it is told in STL_LOAD_ERRORS. */
export class LoadFailure extends Error {
	readonly details: LoadError;
	constructor(details: LoadError) {
		super(details.reason);
		this.details = details;
	}
}

async function columnsOf(client: pg.Client, { table, columns }: CopyCommand): Promise<TableColumn[]> {
	const result = await client.query<{ attname: string; type: string }>(
		`select attname, rs_format_type(atttypid, atttypmod) as type from pg_attribute where attrelid = '${table.replaceAll("'", "''")}'::regclass and attnum > 0 and not attisdropped order by attnum`,
	);
	const all = result.rows.map(({ attname, type }) => ({ name: attname, type }));
	return columns === null ? all : columns.map((name) => all.find((column) => column.name === name)!);
}

/** https://docs.aws.amazon.com/redshift/latest/dg/loading-data-files-using-manifest.html */
async function manifestEntries(s3: S3Reader, command: CopyCommand): Promise<Entry[]> {
	const text = await s3.text(command.bucket, command.key);
	const bad = (why: string) => new RedshiftError("XX000", `Problem reading manifest file - ${why}`);
	let parsed: { entries?: unknown };
	try {
		parsed = JSON.parse(text) as typeof parsed;
	} catch {
		throw bad("it is not JSON");
	}
	if (!Array.isArray(parsed.entries) || parsed.entries.length === 0) throw bad("it has no entries");
	return parsed.entries.map((entry: { url?: string; mandatory?: boolean; meta?: { content_length?: number } }) => {
		const place = /^s3:\/\/([^/]+)\/(.+)$/.exec(entry.url ?? "");
		if (place === null) throw bad("an entry has no s3:// url");
		const contentLength = entry.meta?.content_length ?? null;
		// "The meta key contains a content_length key … required" for columnar formats.
		if (command.format === "parquet" && contentLength === null)
			throw bad("an entry of a Parquet file has no content_length");
		return { bucket: place[1]!, key: place[2]!, mandatory: entry.mandatory === true, contentLength };
	});
}

async function prefixEntries(s3: S3Reader, { bucket, key }: CopyCommand): Promise<Entry[]> {
	const keys = await s3.list(bucket, key);
	if (keys.length === 0) throw new RedshiftError("XX000", `The specified S3 prefix '${key}' does not exist`);
	return keys.map((found) => ({ bucket, key: found, mandatory: true, contentLength: null }));
}

/** Null when an entry that is not mandatory is missing. */
async function fetchEntry(s3: S3Reader, { bucket, key, mandatory }: Entry, local: string): Promise<number | null> {
	try {
		return await s3.fetch(bucket, key, local);
	} catch (error) {
		if (!mandatory && error instanceof RedshiftError && /Status 404/.test(error.message)) return null;
		throw error;
	}
}

async function feed(
	client: pg.Client,
	command: CopyCommand,
	columns: readonly TableColumn[],
	file: { readonly path: string; readonly url: string; readonly parquet: boolean },
): Promise<number> {
	const names = columns.map(({ name }) => `"${name.replaceAll('"', '""')}"`);
	const literal = (text: string) => `E'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
	const format = file.parquet
		? "format csv, null ''"
		: `format ${command.format}, delimiter ${literal(command.delimiter)}, null ${literal(command.nullText)}${command.ignoreHeader > 0 && command.format === "csv" ? ", header true" : ""}`;
	const sql = `copy ${command.table} (${names.join(", ")}) from stdin with (${format})`;
	const varbytes = columns.flatMap(({ type }, at) => (type.startsWith("binary") ? [at] : []));
	if (!file.parquet && varbytes.length > 0) return feedByText(client, command, columns, file, names);
	const statement = new CopyInStatement(sql, IN_FLIGHT_BYTES, async (writer) => {
		for await (const piece of piecesOf(file.path, file.parquet ? null : command.compression)) {
			for (let at = 0; at < piece.length; at += 100_000) {
				const part = piece.subarray(at, at + 100_000);
				const out = await writer.take(part.length);
				out.bytes.set(part, writer.start);
				writer.send(out, writer.start + part.length);
			}
		}
	});
	try {
		return await client.query(statement).done;
	} catch (error) {
		throw failureOf(error, file.url, columns);
	}
}

/** CSV has VARBYTE as hexadecimal digits, which the backend reads as text first. */
async function feedByText(
	client: pg.Client,
	command: CopyCommand,
	columns: readonly TableColumn[],
	file: { readonly path: string; readonly url: string; readonly parquet: boolean },
	names: readonly string[],
): Promise<number> {
	await client.query(`create temporary table rs_csv (${names.map((name) => `${name} text`).join(", ")})`);
	try {
		const asText = columns.map(({ name }) => ({ name, type: "character varying" }));
		await feed(client, { ...command, table: "rs_csv" }, asText, file);
		const items = names.map((name, at) => {
			const { type } = columns[at]!;
			return type.startsWith("binary")
				? `decode(${name}, 'hex')`
				: type.startsWith("character")
					? name
					: `${name}::${type}`;
		});
		const result = await client.query(
			`insert into ${command.table} (${names.join(", ")}) select ${items.join(", ")} from rs_csv`,
		);
		return result.rowCount ?? 0;
	} catch (error) {
		throw failureOf(error, file.url, columns);
	} finally {
		await client.query("drop table if exists rs_csv").catch(() => {});
	}
}

async function* piecesOf(path: string, compression: CopyCommand["compression"]): AsyncGenerator<Buffer> {
	const raw = createReadStream(path, { highWaterMark: 1 << 18 });
	if (compression === null) {
		yield* raw as AsyncIterable<Buffer>;
		return;
	}
	const unpack = compression === "gzip" ? createGunzip() : createZstdDecompress();
	raw.on("error", (error) => unpack.destroy(error));
	yield* raw.pipe(unpack) as AsyncIterable<Buffer>;
}

/** What the backend says of a row, as STL_LOAD_ERRORS would have it: https://docs.aws.amazon.com/redshift/latest/dg/r_Load_Error_Reference.html */
function failureOf(error: unknown, url: string, columns: readonly TableColumn[]): unknown {
	const { code, where, message } = error as { code?: string; where?: string; message: string };
	const place = /^COPY .*?, line (\d+)(?:, column (.+?))?(?:: "([\s\S]*)")?$/m.exec(where ?? "");
	if (code === undefined || place === null || !/^(?:22|23)/.test(code)) return error;
	const [, line, name = "", value = ""] = place;
	const type = columns.find((column) => column.name === name)?.type ?? "";
	const [number, reason] =
		code === "23514" || code === "22001"
			? [1204, "String length exceeds DDL length"]
			: code === "22P02" || code === "22003"
				? [1207, `Invalid digit, Value '${value.slice(0, 1)}', Pos 0, Type: ${type}`]
				: code === "22007" || code === "22008"
					? [1206, "Invalid timestamp format or value [YYYY-MM-DD HH24:MI:SS]"]
					: [1213, message];
	return new LoadFailure({
		file: url,
		line: Number(line),
		column: name,
		type,
		value: value.slice(0, 1000),
		code: number,
		reason,
	});
}
