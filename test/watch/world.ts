import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { RunOptions } from "../../src/app/api.ts";
import { openApp } from "../../src/app/app.ts";
import { definePipeline, type PipelineInput } from "../../src/config/define-pipeline.ts";
import { MemoryDatabase, memorySource } from "../../src/connectors/memory/index.ts";
import { type ErrorCode, HeadraceError, type RunEvent, type RunReceipt, type Source } from "../../src/core/index.ts";

/** A project whose source is in memory and whose destination is a DuckDB file; tables can be made to fail. */
export class World {
	readonly directory = mkdtempSync(join(tmpdir(), "headrace-watch-"));
	readonly database = new MemoryDatabase();
	/** Tables that fail so often, with this code. */
	readonly failing = new Map<string, { readonly code: ErrorCode; times: number }>();
	readonly notices: string[] = [];
	connects: ErrorCode | null = null;

	constructor() {
		onTestFinished(() => rmSync(this.directory, { recursive: true, force: true }));
		for (const name of ["orders", "people"]) {
			const columns = [
				{ name: "id", type: { kind: "int64" as const }, nullable: false },
				{ name: "email", type: { kind: "text" as const }, nullable: true },
			];
			const table = { schema: "shop", name };
			this.database.createTable(table, columns, ["id"]);
			this.database.insert(table, { id: "1", email: "a@b" }, { id: "2", email: "secret value" });
		}
	}

	get #source(): Source {
		const source = memorySource(this.database, { defaultSchema: "shop" });
		return {
			...source,
			listTables: async () => {
				if (this.connects !== null) throw new HeadraceError(this.connects, "no way to db.internal as hunter2");
				return source.listTables();
			},
			snapshot: async (options) => {
				const snapshot = await source.snapshot(options);
				const read: typeof snapshot.read = (request) => {
					const failure = this.failing.get(request.table.name.name);
					if (failure === undefined || failure.times-- <= 0) return snapshot.read(request);
					throw new HeadraceError(failure.code, `${request.table.name.name} did not answer hunter2`, { hint: "look" });
				};
				return { ...snapshot, read };
			},
		};
	}

	async run(
		env: NodeJS.ProcessEnv,
		input: Partial<PipelineInput> = {},
		options: Partial<RunOptions> = {},
	): Promise<RunReceipt> {
		const { directory } = this;
		const settings = { pipeline: "shop", from: "./unused", to: "duckdb:w.duckdb", retries: 0, retry_delay: "1ms" };
		const pipeline = definePipeline({ ...settings, tables: { "shop.*": {} }, ...input }, { directory, env: {} });
		await using app = await openApp({
			directory,
			source: this.#source,
			redact: (text) => text.replaceAll("hunter2", "***"),
			env,
		});
		const onEvent = (event: RunEvent) => {
			if (event.type === "notice") this.notices.push(event.message);
		};
		const [receipt] = await app.run(pipeline, { ...options, onEvent });
		return receipt!;
	}
}
