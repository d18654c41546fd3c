import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "../../src/connectors/postgres/index.ts";
import { Secret } from "../../src/core/index.ts";
import { openServerState, openStateStore, type ProjectState } from "../../src/state/index.ts";
import type { ServerName } from "../support/server.ts";
import { freshDatabase, sharedServer, type TestDatabase } from "../support/shared.ts";
import { missing } from "../support/start.ts";

/** A state that was made for one test. */
export interface FreshState extends AsyncDisposable {
	/** Opens it, as each process does; the caller closes it. */
	open(): Promise<ProjectState>;
}

/** A kind of database that states are kept in. */
export interface StateKind {
	readonly name: string;
	/** It can't be started here. */
	readonly isMissing: boolean;
	fresh(redact?: (text: string) => string): Promise<FreshState>;
	/** What is kept for all of its tests goes. */
	close(): Promise<void>;
}

const sqlite: StateKind = {
	name: "SQLite",
	isMissing: false,
	async fresh(redact) {
		const directory = mkdtempSync(join(tmpdir(), "headrace-state-"));
		const options = redact === undefined ? {} : { redact };
		return {
			open: () => openStateStore(join(directory, "state.db"), options),
			async [Symbol.asyncDispose]() {
				rmSync(directory, { recursive: true, force: true });
			},
		};
	},
	async close() {},
};

/** How a schema of a database is opened as a state. */
export function serverState({ server, name }: TestDatabase, schema: string) {
	const { host, port, user, password } = server;
	const options = { host, port, user, password: new Secret(password), database: name };
	return { schema, connect: async () => (await connect(options, "headrace state")).session };
}

function postgres(server: ServerName): StateKind {
	let database: Promise<TestDatabase> | undefined;
	let serial = 0;
	return {
		name: server,
		isMissing: missing(server),
		async fresh(redact) {
			database ??= sharedServer(server).then((running) => freshDatabase(running, "state"));
			const state = serverState(await database, `state "${serial++}"`);
			return {
				open: () => openServerState(state, redact === undefined ? {} : { redact }),
				async [Symbol.asyncDispose]() {},
			};
		},
		async close() {
			await (await database)?.drop();
		},
	};
}

export const STATE_KINDS: readonly StateKind[] = [sqlite, postgres("postgres15")];
/** A newer version of what is tried already. */
export const NEWER_KINDS: readonly StateKind[] = [postgres("postgres18")];
