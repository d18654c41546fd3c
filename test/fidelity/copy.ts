import { mkdtemp, readdir, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FormatName } from "../../src/core/index.ts";
import { Engine, type EngineConnection } from "../../src/engine/index.ts";
import {
	type App,
	definePipeline,
	openApp,
	type PipelineInput,
	type Plan,
	type TableReceipt,
} from "../../src/index.ts";
import { quoteDouble, quoteSingle } from "../../src/sql/index.ts";
import { arrivedSql } from "./type-case.ts";

export const FORMATS = ["parquet", "csv", "jsonl"] as const;

/** The ways from a source into a DuckDB table: at once, by way of staged files, or of a folder that files land in. */
export const ROUTES = [
	"direct",
	...FORMATS.map((format) => `staged ${format}` as const),
	...FORMATS.map((format) => `${format} folder` as const),
] as const;
export type Route = (typeof ROUTES)[number];

type TableInput = NonNullable<PipelineInput["defaults"]>;

export interface CopyRequest {
	/** Schema of the destination: one a copy. */
	readonly name: string;
	readonly route: Route;
	/** `schema.table` of the source. */
	readonly table: string;
	readonly options: TableInput;
	readonly types: NonNullable<PipelineInput["types"]>;
	/** Canonical types of the columns, for the way back from a folder of files: CSV has none of its own. */
	readonly arrives: ReadonlyMap<string, string>;
	readonly interval?: { readonly start: string; readonly end: string };
}

/** Name under which a row's place in the DuckDB table is given: a row that is written again gets a new one. */
export const ROW_IDENTIFIER = "row identifier";

async function printedColumns(connection: EngineConnection, relation: string, types: ReadonlyMap<string, string>) {
	const items = [...types].map(
		([column, type]) => `${arrivedSql(type, quoteDouble(column))} AS ${quoteDouble(column)}`,
	);
	const rows = await connection.query(`SELECT ${items.join(", ")} FROM ${relation} ORDER BY CAST(id AS BIGINT)`);
	return new Map([...types.keys()].map((column) => [column, rows.map((row) => row[column] as string | null)]));
}

function filesRelation(format: FormatName, paths: readonly string[], types: ReadonlyMap<string, string>): string {
	const list = `[${paths.map(quoteSingle).join(", ")}]`;
	if (format === "parquet") return `read_parquet(${list})`;
	if (format === "csv")
		return `read_csv(${list}, header = true, all_varchar = true, delim = ',', quote = '"', escape = '"', nullstr = '', allow_quoted_nulls = false)`;
	const columns = ["id", ...types.keys()].map((column) => `${quoteSingle(column)}: 'VARCHAR'`);
	return `read_json(${list}, format = 'newline_delimited', columns = {${columns.join(", ")}})`;
}

/** A project with one DuckDB file, that every copy of a source goes into through the product as a user has it. */
export class Workbench implements AsyncDisposable {
	readonly directory: string;
	readonly #from: string;
	readonly #app: App;

	private constructor(directory: string, from: string, app: App) {
		this.directory = directory;
		this.#from = from;
		this.#app = app;
	}

	static async open(from: string): Promise<Workbench> {
		const directory = await mkdtemp(join(tmpdir(), "headrace-fidelity-"));
		return new Workbench(directory, from, await openApp({ directory }));
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.#app[Symbol.asyncDispose]();
		await rm(this.directory, { recursive: true, force: true });
	}

	#pipeline(name: string, from: PipelineInput["from"], to: PipelineInput["to"], rest: Partial<PipelineInput>) {
		return definePipeline({ pipeline: name, from, to, retries: 0, ...rest } as PipelineInput, {
			directory: this.directory,
			connections: this.#connections(),
		});
	}

	#connections() {
		const folders = FORMATS.flatMap((format) => [
			[`${format}_folder`, { type: "file", path: `./out-${format}`, format }] as const,
			[`${format}_staging`, { type: "file", path: `./staging-${format}`, format }] as const,
		]);
		return { source: this.#from, warehouse: "duckdb:warehouse.duckdb", ...Object.fromEntries(folders) };
	}

	/** What `plan` says of a copy into DuckDB. */
	async plan(request: CopyRequest): Promise<Plan> {
		return this.#app.plan(this.#definition({ ...request, route: "direct" }), {});
	}

	#definition({ name, route, table, options, types }: CopyRequest) {
		const [first, second] = route.split(" ");
		const format = second === "folder" ? first : second;
		return this.#pipeline(name, "source", second === "folder" ? `${format}_folder` : "warehouse", {
			...(first === "staged" ? { staging: `${format}_staging` } : {}),
			types,
			tables: { [table]: { ...options, into: `${name}.arrived` } },
		});
	}

	/** Copies once and gives the receipt of the run that read the database. */
	async copy(request: CopyRequest): Promise<TableReceipt> {
		const { name, route, interval } = request;
		const receipt = await this.#run(this.#definition(request), interval);
		if (!route.endsWith("folder")) return receipt;
		// JSON lines hold JSON as a string, whose text it is.
		const typeOf = (type: string) => (type === "json" && route === "jsonl folder" ? "text" : type);
		const columns = Object.fromEntries([...request.arrives].map(([column, type]) => [column, { type: typeOf(type) }]));
		const back = this.#pipeline(`${name}-back`, `${route.split(" ")[0]}_folder`, "warehouse", {
			tables: { [`${name}.arrived`]: { columns, into: `${name}.arrived` } },
		});
		await this.#run(back);
		return receipt;
	}

	async #run(pipeline: ReturnType<typeof definePipeline>, interval?: CopyRequest["interval"]): Promise<TableReceipt> {
		const [run] = await this.#app.run(pipeline, interval === undefined ? {} : { interval });
		const [receipt] = run?.tables ?? [];
		if (receipt === undefined) throw new Error("the run has no table");
		if (receipt.error !== null)
			throw Object.assign(new Error(`${receipt.error.code} ${receipt.error.message}`), { code: receipt.error.code });
		return receipt;
	}

	/** The same of the files that a copy left in its folder, read by DuckDB alone; of text files only text. */
	async arrivedInFiles(format: FormatName, name: string, types: ReadonlyMap<string, string>) {
		const folder = await realpath(join(this.directory, `out-${format}`, `${name}.arrived`));
		const paths = (await readdir(folder)).filter((file) => file.endsWith(format)).map((file) => join(folder, file));
		await using engine = await Engine.open({ allowedPaths: paths });
		await using connection = await engine.connect();
		return await printedColumns(connection, filesRelation(format, paths, types), types);
	}

	/** Text of each column of what a copy brought, in the order of `id`, by DuckDB's own functions. */
	async arrived(name: string, types: ReadonlyMap<string, string>): Promise<Map<string, (string | null)[]>> {
		await using engine = await Engine.open({ path: join(this.directory, "warehouse.duckdb") });
		await using connection = await engine.connect();
		const withRows = new Map([...types, [ROW_IDENTIFIER, "int64"]]);
		return await printedColumns(
			connection,
			`(SELECT *, rowid AS "${ROW_IDENTIFIER}" FROM ${quoteDouble(name)}.arrived)`,
			withRows,
		);
	}
}
