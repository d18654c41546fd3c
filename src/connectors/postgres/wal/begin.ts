import { type BeginRequest, HeadraceError, type LogCut, qualified, type TableName } from "../../../core/index.ts";
import type { PostgresOptions } from "../connect.ts";
import type { ControlConnection } from "../control.ts";
import { execute } from "../execute.ts";
import type { Session } from "../session.ts";
import { quoteIdentifier, quoteTable } from "../sql-text.ts";
import { stopped } from "../stopped.ts";
import { encodeWalPosition } from "./position.ts";
import {
	choosePublications,
	insertsName,
	type Publication,
	publicationStatement,
	type ReplicaIdentity,
	readPublications,
	readReplicaIdentities,
	tableKey,
} from "./publication.ts";
import { readSlots, slotName } from "./slot.ts";
import { createSlot, identify, openWalsender } from "./walsender.ts";

const FREE_WAIT_MS = 5_000;
const FREE_TRY_MS = 100;

/**
 * Publishes the tables and makes the reader's slot, in this order: a slot knows only publications that are older. What
 * the reader had before is replaced. The server waits for open transactions before the slot is made.
 * @throws E_LOG_SETTINGS for tables that the log can't tell rows of apart, E_RIGHTS, E_BUSY when the slot is in use
 */
export async function beginLog(
	options: PostgresOptions,
	control: ControlConnection,
	request: BeginRequest,
): Promise<LogCut> {
	const { signal } = request;
	const name = await nameOf(control, request.reader);
	await publish(options, control, name, request);
	await dropSlot(control, name);
	const { session, facts } = await openWalsender(options);
	const abort = () => session.destroy();
	signal?.addEventListener("abort", abort, { once: true });
	try {
		if (signal?.aborted) throw stopped(signal);
		const { lsn, snapshot } = await createSlot(session, facts, { name, kind: "kept" });
		const { system, timeline, database } = await control.run(identify);
		if (snapshot === null) throw new HeadraceError("E_SOURCE", "the server made a slot without a snapshot");
		return {
			position: encodeWalPosition({ lsn, system, timeline, database }),
			snapshot,
			[Symbol.asyncDispose]: () => session.end(),
		};
	} catch (error) {
		session.destroy();
		throw signal?.aborted ? stopped(signal) : error;
	} finally {
		signal?.removeEventListener("abort", abort);
	}
}

/** Publishes more tables for a reader that has begun. */
export async function includeTables(
	options: PostgresOptions,
	control: ControlConnection,
	request: BeginRequest,
): Promise<void> {
	await publish(options, control, await nameOf(control, request.reader), request);
}

function nameOf(control: ControlConnection, reader: string): Promise<string> {
	return control.run(async (_session, { database }) => slotName(reader, database));
}

async function publish(
	options: PostgresOptions,
	control: ControlConnection,
	name: string,
	request: BeginRequest,
): Promise<void> {
	const names = request.tables.map((table) => table.name);
	const inserted = new Set((request.insertsOnly ?? []).map(tableKey));
	refuseUntold(await control.run((session) => readReplicaIdentities(session, names)), inserted);
	const found = await control.run((session) => readPublications(session, names, [name, insertsName(name)]));
	if (await isCovered(control, name, names)) return;
	const statements = [
		...statementsOf(
			found,
			name,
			names.filter((table) => !inserted.has(tableKey(table))),
		),
		...statementsOf(
			found,
			insertsName(name),
			names.filter((table) => inserted.has(tableKey(table))),
			"insert",
		),
	];
	try {
		await execute(options, control, statements, request.signal);
	} catch (error) {
		if (!(error instanceof HeadraceError) || error.code !== "E_RIGHTS") throw error;
		throw new HeadraceError("E_RIGHTS", `the tables can't be published: ${error.message}`, {
			hint: `Run as the tables' owner: ${statements.join(" ")}`,
			cause: error,
		});
	}
}

async function isCovered(control: ControlConnection, name: string, tables: readonly TableName[]): Promise<boolean> {
	try {
		await control.run((session) => choosePublications(session, name, tables));
		return true;
	} catch (error) {
		if (error instanceof HeadraceError && error.code === "E_LOG_SETTINGS") return false;
		throw error;
	}
}

function statementsOf(
	found: readonly Publication[],
	name: string,
	tables: readonly TableName[],
	publish?: string,
): string[] {
	const own = found.find((publication) => publication.name === name);
	const missing = tables.filter((table) => own === undefined || !own.tables.has(tableKey(table)));
	return missing.length === 0 ? [] : [publicationStatement(name, missing, own !== undefined, publish)];
}

/** A published table without a replica identity refuses the application's own UPDATE and DELETE. */
function refuseUntold(identities: readonly ReplicaIdentity[], inserted: ReadonlySet<string>): void {
	const unlogged = identities.filter(({ persistence }) => persistence !== "p");
	if (unlogged.length > 0)
		throw new HeadraceError(
			"E_LOG_SETTINGS",
			`${unlogged.map(({ table }) => qualified(table)).join(", ")}: unlogged tables are not in the log`,
			{ hint: unlogged.map(({ table }) => `ALTER TABLE ${quoteTable(table)} SET LOGGED;`).join(" ") },
		);
	const untold = identities.filter(({ isMissing, table }) => isMissing && !inserted.has(tableKey(table)));
	if (untold.length > 0)
		throw new HeadraceError(
			"E_LOG_SETTINGS",
			`${untold.map(({ table }) => qualified(table)).join(", ")}: without a replica identity; once published, the application's own UPDATE and DELETE would fail`,
			{
				hint: `Run: ${untold.map(({ table }) => `ALTER TABLE ${quoteTable(table)} REPLICA IDENTITY FULL;`).join(" ")}`,
			},
		);
}

/** Drops the reader's slot and its own publications, those that are there. */
export async function forgetReader(
	options: PostgresOptions,
	control: ControlConnection,
	reader: string,
): Promise<void> {
	const name = await nameOf(control, reader);
	await dropSlot(control, name);
	const found = await control.run((session) => readPublications(session, [], [name, insertsName(name)]));
	const own = found.filter(({ owned }) => owned).map((publication) => publication.name);
	if (own.length > 0)
		await execute(
			options,
			control,
			own.map((publication) => `DROP PUBLICATION IF EXISTS ${quoteIdentifier(publication)}`),
		);
}

async function dropSlot(control: ControlConnection, name: string): Promise<void> {
	const begun = performance.now();
	while (true) {
		const isGone = await control.run(async (session: Session) => {
			const [slot] = await readSlots(session, name);
			if (slot === undefined) return true;
			if (slot.activePid === null) {
				await session.rows("SELECT pg_catalog.pg_drop_replication_slot($1)", [name]);
				return true;
			}
			if (performance.now() - begun > FREE_WAIT_MS)
				throw new HeadraceError(
					"E_BUSY",
					`the replication slot ${name} is in use by the server's process ${slot.activePid}`,
				);
			return false;
		});
		if (isGone) return;
		await new Promise((resolve) => setTimeout(resolve, FREE_TRY_MS));
	}
}
