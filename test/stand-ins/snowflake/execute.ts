import { createHash, randomUUID } from "node:crypto";
import { mkdir, readdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { HeadraceError } from "../../../src/core/index.ts";
import type { Stage, Table } from "./catalog.ts";
import { type Copy, copyFile, readCopy } from "./copy.ts";
import { defineStatement, isDefinition } from "./define.ts";
import { noPrivilege, notModelled, notThere, Refused } from "./errors.ts";
import type { FaultEffect } from "./faults.ts";
import { Reader, type Token, tokensOf } from "./lexer.ts";
import { nondeterministic, readMerge } from "./merge.ts";
import { countResult, queryResult, type ResultSet, statusResult, textResult } from "./result.ts";
import { mayUse, scopeOf } from "./scope.ts";
import type { SessionState } from "./session.ts";
import { showStatement } from "./show.ts";
import { type Bind, tableOf, translate } from "./translate.ts";

/** What a statement gives: rows, or for PUT what the client must do. */
export type Outcome =
	| { readonly kind: "rows"; readonly result: ResultSet }
	| { readonly kind: "put"; readonly data: object };

/** Runs one statement of a session. @throws Refused */
export async function executeStatement(
	session: SessionState,
	sql: string,
	binds: readonly Bind[],
	fault: FaultEffect | null,
): Promise<Outcome> {
	const tokens = tokensOf(sql);
	if (tokens.some(({ kind, text }) => kind === "symbol" && text === ";"))
		// https://docs.snowflake.com/en/sql-reference/parameters#multi-statement-count: 1 unless the client says otherwise.
		throw new Refused("000008", "0A000", "Actual statement count 2 did not match the desired statement count 1.");
	const reader = new Reader(tokens);
	const first = reader.peek()?.text;
	if (first === undefined) throw new Refused("000900", "42601", "SQL compilation error:\nEmpty SQL statement.");
	if (first === "PUT") return { kind: "put", data: put(session, sql) };
	return { kind: "rows", result: await rowsOf(session, first, tokens, binds, fault) };
}

async function rowsOf(
	session: SessionState,
	first: string,
	tokens: readonly Token[],
	binds: readonly Bind[],
	fault: FaultEffect | null,
): Promise<ResultSet> {
	const reader = new Reader(tokens);
	switch (first) {
		case "BEGIN":
		case "START": {
			reader.next();
			if (!reader.take("TRANSACTION")) reader.take("WORK");
			// A BEGIN within a transaction is ignored: https://docs.snowflake.com/en/sql-reference/sql/begin
			session.begin(reader.take("NAME") ? reader.name() : "");
			return statusResult();
		}
		case "COMMIT":
			await session.commit();
			return statusResult();
		case "ROLLBACK":
			await session.rollback();
			return statusResult();
		case "SHOW":
		case "DESCRIBE":
		case "DESC":
			return showStatement(session, reader);
		case "LIST":
		case "LS":
		case "REMOVE":
		case "RM":
			return stageStatement(session, first, reader);
		case "USE":
			return use(session, reader);
		case "ALTER":
			if (reader.at("ALTER", "SESSION")) return alterSession(session, reader);
			break;
		case "SELECT":
		case "WITH":
			if (tokens[1]?.text === "SYSTEM$ABORT_TRANSACTION") return abortTransaction(session, tokens[3]!.text);
			return select(session, tokens, binds);
		case "INSERT":
		case "UPDATE":
		case "DELETE":
		case "MERGE":
		case "COPY":
			return change(session, first, tokens, binds, fault);
	}
	if (!isDefinition(first)) throw notModelled(first);
	// DDL commits the open transaction, and then itself: https://docs.snowflake.com/en/sql-reference/transactions#ddl
	if (session.transaction !== null) await session.commit();
	return engineErrors(() =>
		session.alone(true, () =>
			defineStatement(session, tokens, (inner, uses) => translated(session, inner, binds, uses)),
		),
	);
}

function translated(
	session: SessionState,
	tokens: readonly Token[],
	binds: readonly Bind[],
	uses: (table: Table) => void,
): string {
	return translate(tokens, scopeOf(session, binds, uses));
}

async function select(session: SessionState, tokens: readonly Token[], binds: readonly Bind[]): Promise<ResultSet> {
	const used: Table[] = [];
	const sql = translated(session, tokens, binds, (table) => used.push(table));
	for (const table of used) if (!mayUse(session, table, "SELECT")) throw notThere("Object", table.physical);
	if (used.length > 0) needWarehouse(session);
	return engineErrors(async () => {
		if (session.transaction !== null) await session.enter();
		return queryResult(session.connection, sql);
	});
}

/** https://docs.snowflake.com/en/user-guide/warehouses-overview: queries of tables and DML need one. */
function needWarehouse({ warehouse }: SessionState): void {
	if (warehouse === null)
		throw new Refused(
			"000606",
			"57P03",
			"No active warehouse selected in the current session.  Select an active warehouse with the 'use warehouse' command.\n",
		);
}

async function change(
	session: SessionState,
	verb: string,
	tokens: readonly Token[],
	binds: readonly Bind[],
	fault: FaultEffect | null,
): Promise<ResultSet> {
	needWarehouse(session);
	if (session.transaction === null && !session.autocommit) session.begin();
	try {
		const plan = planChange(session, verb, tokens, binds, fault);
		if (session.transaction === null) return await engineErrors(() => session.alone(plan.permanent, plan.run));
		return await engineErrors(async () => {
			await session.enter();
			return plan.run();
		});
	} catch (error) {
		// https://docs.snowflake.com/en/sql-reference/parameters#transaction-abort-on-error
		if (session.transaction !== null && session.parameters.get("TRANSACTION_ABORT_ON_ERROR") === "TRUE")
			await session.rollback();
		throw error;
	}
}

interface Change {
	readonly permanent: boolean;
	readonly run: () => Promise<ResultSet>;
}

function planChange(
	session: SessionState,
	verb: string,
	tokens: readonly Token[],
	binds: readonly Bind[],
	fault: FaultEffect | null,
): Change {
	const { connection } = session;
	const used: Table[] = [];
	const uses = (table: Table) => used.push(table);
	const scope = scopeOf(session, binds, uses);
	const target = (path: readonly string[]): Table => {
		const table = tableOf(path, scope);
		used.push(table);
		const privilege = verb === "COPY" || verb === "MERGE" ? "INSERT" : verb;
		if (!mayUse(session, table, privilege)) throw noPrivilege("table", path.at(-1)!);
		return table;
	};
	const permanent = () => used.some((table) => !table.temporary);
	if (verb === "COPY") {
		const copy = readCopy(tokens);
		const table = target(copy.target);
		return { permanent: permanent(), run: () => copyInto(session, copy, table, fault) };
	}
	if (verb === "MERGE") {
		const merge = readMerge(tokens, scope);
		target(merge.target);
		return {
			permanent: permanent(),
			run: async () => {
				const [row] = await connection.query(merge.repeated);
				if (Number(row!["n"]) > 0 && session.parameters.get("ERROR_ON_NONDETERMINISTIC_MERGE") !== "FALSE")
					throw nondeterministic();
				const counts = { INSERT: 0, UPDATE: 0, DELETE: 0 };
				for (const { a } of await connection.query(merge.sql)) counts[a as keyof typeof counts]++;
				const by = { inserted: counts.INSERT, updated: counts.UPDATE, deleted: counts.DELETE };
				return countResult(Object.fromEntries(merge.actions.map((action) => [`number of rows ${action}`, by[action]])));
			},
		};
	}
	const sql = translate(tokens, scope);
	const reader = new Reader(tokens.slice(1));
	reader.take(verb === "INSERT" ? "INTO" : "FROM");
	target(reader.path());
	return {
		permanent: permanent(),
		run: async () => {
			const rows = await connection.execute(sql);
			if (verb === "INSERT") return countResult({ "number of rows inserted": rows });
			if (verb === "DELETE") return countResult({ "number of rows deleted": rows });
			return countResult({ "number of rows updated": rows, "number of multi-joined rows updated": 0 });
		},
	};
}

async function copyInto(
	session: SessionState,
	copy: Copy,
	table: Table,
	fault: FaultEffect | null,
): Promise<ResultSet> {
	const { stage, path } = stageOf(session, copy.stage);
	const rows: (string | null)[][] = [];
	for (const name of copy.files) {
		const local = await localFile(session, stage, `${path}${name}`);
		const injected = fault?.kind === "bad-row" ? { row: fault.row } : undefined;
		try {
			const result = await copyFile(session.connection, copy, table, name, local.path, injected);
			const status = result.skipped
				? result.error === undefined
					? "LOAD_SKIPPED"
					: "LOAD_FAILED"
				: result.error === undefined
					? "LOADED"
					: "PARTIALLY_LOADED";
			if (status === "LOAD_SKIPPED") continue;
			rows.push([
				name,
				status,
				String(result.parsed),
				String(result.loaded),
				"1",
				result.error === undefined ? "0" : "1",
				result.error?.message ?? null,
				result.error === undefined ? null : String(result.error.row),
				null,
				result.error?.column ?? null,
			]);
		} finally {
			await local.remove();
		}
	}
	if (rows.length === 0) return textResult(["status"], [["Copy executed with 0 files processed."]]);
	return textResult(
		[
			"file",
			"status",
			"rows_parsed",
			"rows_loaded",
			"error_limit",
			"errors_seen",
			"first_error",
			"first_error_line",
			"first_error_character",
			"first_error_column_name",
		],
		rows,
	);
}

/** The stage of `"S"."NAME"/path/` and the path. */
export function stageOf(session: SessionState, text: string): { readonly stage: Stage; readonly path: string } {
	const match = /^((?:"(?:[^"]|"")*"|[^"/.]+)(?:\.(?:"(?:[^"]|"")*"|[^"/.]+))*)\/?(.*)$/s.exec(text);
	if (match === null) throw notThere("Stage", text);
	const parts = tokensOf(match[1]!).filter(({ kind }) => kind !== "symbol");
	const key = session.world.catalog.key(
		parts.map((part) => part.text),
		session.schema,
	);
	const stage = session.world.catalog.stages.get(key);
	if (stage === undefined) throw notThere("Stage", match[1]!);
	return { stage, path: match[2]! };
}

/** A staged file on this machine. */
async function localFile(
	session: SessionState,
	stage: Stage,
	path: string,
): Promise<{ path: string; remove(): Promise<void> }> {
	const missing = () =>
		new Refused("091016", "22000", `Remote file '${path}' was not found. There are several potential causes.`);
	if (stage.url === undefined) {
		const local = join(stage.folder, path);
		await stat(local).catch(() => {
			throw missing();
		});
		return { path: local, remove: async () => {} };
	}
	const { world } = session;
	const integration = world.integrations.get(stage.integration ?? "");
	const uri = `${stage.url}${path}`;
	// https://docs.snowflake.com/en/sql-reference/sql/create-storage-integration (STORAGE_ALLOWED_LOCATIONS)
	if (integration?.enabled !== true || !integration.allowedLocations.some((prefix) => uri.startsWith(prefix)))
		throw new Refused(
			"003167",
			"42601",
			`Location '${stage.url}' is not allowed by integration '${stage.integration}'.`,
		);
	const [, bucket, key] = /^s3:\/\/([^/]+)\/(.*)$/s.exec(uri) ?? [];
	const content = await world.readObject?.(bucket!, key!);
	if (content === null || content === undefined) throw missing();
	const ending = /\.[A-Za-z.]+$/.exec(path)?.[0] ?? "";
	const local = join(world.folder, `object-${randomUUID()}${ending}`);
	await writeFile(local, content);
	return { path: local, remove: () => rm(local, { force: true }) };
}

/** PUT is the client's work: it is told where. https://docs.snowflake.com/en/sql-reference/sql/put */
function put(session: SessionState, sql: string): object {
	const match = /^PUT\s+'((?:[^'\\]|\\.)*)'\s+@(\S+)\s*(.*)$/is.exec(sql);
	if (match === null) throw notModelled("PUT of this form");
	const source = match[1]!.replace(/\\(.)/g, "$1").replace(/^file:\/\//, "");
	const { stage, path } = stageOf(session, match[2]!);
	if (stage.url !== undefined)
		throw new Refused("091003", "42601", "GET and PUT commands are not supported with external stage");
	const options = match[3]!.toUpperCase();
	const flag = (name: string, otherwise: boolean) =>
		options.includes(`${name} = `) ? options.includes(`${name} = TRUE`) : otherwise;
	return {
		command: "UPLOAD",
		src_locations: [source],
		autoCompress: flag("AUTO_COMPRESS", true),
		overwrite: flag("OVERWRITE", false),
		sourceCompression: "auto_detect",
		parallel: 4,
		stageInfo: { locationType: "LOCAL_FS", location: join(stage.folder, path), path, region: null, creds: {} },
		encryptionMaterial: null,
		presignedUrls: null,
	};
}

async function stageStatement(session: SessionState, verb: string, reader: Reader): Promise<ResultSet> {
	reader.next();
	const { stage, path } = stageOf(session, reader.next().text);
	if (stage.url !== undefined) throw notModelled(`${verb} of an external stage`);
	await mkdir(stage.folder, { recursive: true });
	const all = await readdir(stage.folder, { recursive: true, withFileTypes: true });
	const files = all.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
	const found = files.filter((file) => file.slice(stage.folder.length + 1).startsWith(path));
	const named = (file: string) => `${stage.name.toLowerCase()}/${file.slice(stage.folder.length + 1)}`;
	if (verb === "REMOVE" || verb === "RM") {
		for (const file of found) await rm(file, { force: true });
		return textResult(
			["name", "result"],
			found.map((file) => [named(file), "removed"]),
		);
	}
	const rows: string[][] = [];
	for (const file of found.sort()) {
		const { size, mtime } = await stat(file);
		rows.push([named(file), String(size), createHash("md5").update(file).digest("hex"), mtime.toUTCString()]);
	}
	return textResult(["name", "size", "md5", "last_modified"], rows);
}

function use(session: SessionState, reader: Reader): ResultSet {
	reader.expect("USE");
	const what = reader.name();
	const name = reader.path().at(-1)!;
	if (what === "SCHEMA") session.schema = name;
	else if (what === "WAREHOUSE") {
		if (!session.world.warehouses.has(name)) throw notThere("Object", name);
		session.warehouse = name;
	} else if (what === "ROLE") session.role = name;
	else throw notModelled(`USE ${what}`);
	return statusResult();
}

function alterSession(session: SessionState, reader: Reader): ResultSet {
	reader.expect("ALTER", "SESSION", "SET");
	while (!reader.done) {
		const name = reader.name();
		reader.expect("=");
		session.parameters.set(name, reader.next().text);
		reader.take(",");
	}
	return statusResult();
}

/** https://docs.snowflake.com/en/sql-reference/functions/system_abort_transaction: the user's own, or any for an account's administrator. */
async function abortTransaction(session: SessionState, id: string): Promise<ResultSet> {
	for (const other of session.world.sessions.values())
		if (other.transaction?.id === id && (other.user === session.user || session.role === "ACCOUNTADMIN")) {
			session.world.lock.cancel(other);
			// The engine takes no ROLLBACK while a statement goes on, and the lock must not be free before it has one.
			if (other !== session) await other.tail.catch(() => {});
			if (other.transaction?.id !== id) break;
			await other.rollback();
			return textResult(["SYSTEM$ABORT_TRANSACTION"], [["Aborted transaction id."]]);
		}
	return textResult(["SYSTEM$ABORT_TRANSACTION"], [["Transaction not found."]]);
}

/** The engine's errors in Snowflake's words. */
async function engineErrors<T>(work: () => Promise<T>): Promise<T> {
	try {
		return await work();
	} catch (error) {
		if (!(error instanceof HeadraceError)) throw error;
		if (/not null/i.test(error.message)) throw new Refused("100072", "22000", "NULL result in a non-nullable column");
		if (error.code === "E_VALUE") throw new Refused("100038", "22018", "Numeric value '…' is not recognized");
		if (error.code === "E_CONFLICT") throw new Refused("000625", "57014", `lock timeout: ${error.message}`);
		throw new Refused("001003", "42000", `SQL compilation error:\n${error.message}`);
	}
}
