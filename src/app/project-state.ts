import { join } from "node:path";
import { type DatabaseConnection, type Env, loadConnection } from "../config/index.ts";
import { HeadraceError } from "../core/index.ts";
import { openServerState, openStateStore, type ProjectState, type StateStoreOptions } from "../state/index.ts";
import { serverOptions } from "./registry.ts";

const SCHEMA_DEFAULT = "headrace";

export interface ProjectStateOptions extends StateStoreOptions {
	/** The project's folder. */
	readonly directory: string;
	/** What the project's references read; `HEADRACE_STATE` says where its state is. */
	readonly env: Env;
	/** Told of the connection that the state is reached by, before it is used: it has a password. */
	readonly onConnection?: (connection: DatabaseConnection) => void;
}

/** Where a project's state is kept. */
export type StatePlace =
	| { readonly kind: "file"; readonly path: string }
	| { readonly kind: "server"; readonly connection: DatabaseConnection; readonly schema: string };

/**
 * Where `HEADRACE_STATE` says that the state is: an address or a connection of PostgreSQL, with `?schema=` at an
 * address for another schema than `headrace`; without it, a file of the project.
 * @throws HeadraceErrors with what is wrong with the connection, E_INVALID_VALUE when it is no PostgreSQL
 */
export async function statePlace(directory: string, env: Env): Promise<StatePlace> {
	const setting = env["HEADRACE_STATE"]?.trim() ?? "";
	if (setting === "") return { kind: "file", path: join(directory, ".headrace", "state.db") };
	const [, address = "", schema] = /^(.*?)(?:\?schema=([\w$-]{1,63}))?$/.exec(setting) ?? [];
	const connection = await loadConnection(directory, address, { env });
	if (connection.type !== "postgres")
		throw new HeadraceError("E_INVALID_VALUE", `the state can be kept in PostgreSQL, not in ${connection.type}`, {
			hint: "HEADRACE_STATE and --state take postgres://… or the name of such a connection; without them it is a file.",
		});
	return { kind: "server", connection, schema: schema ?? SCHEMA_DEFAULT };
}

/** Opens what is kept of a project. @throws E_STATE, E_CONNECT, E_LOGIN, E_TLS, and what `statePlace` throws */
export async function openProjectState(request: ProjectStateOptions): Promise<ProjectState> {
	const { directory, env, onConnection, ...options } = request;
	const place = await statePlace(directory, env);
	if (place.kind === "file") return openStateStore(place.path, options);
	const { connect } = await import("../connectors/postgres/index.ts");
	const { schema, connection } = place;
	onConnection?.(connection);
	const server = { schema, connect: async () => (await connect(serverOptions(connection), "headrace state")).session };
	return openServerState(server, options);
}
