import { existsSync } from "node:fs";
import { basename, resolve } from "node:path";
import { HeadraceErrors } from "../core/errors.ts";
import { faultsOf, parseAddress } from "./address.ts";
import { checkPipeline } from "./check.ts";
import {
	type Connections,
	connectionFolders,
	connectionFor,
	connectionsOf,
	findConnectionsFile,
	findProjectFile,
	readConnections,
} from "./connections.ts";
import { findPipeline, projectDirectory } from "./find.ts";
import type { CheckedPipeline, Connection, ConnectionType } from "./pipeline.ts";
import { readText } from "./read-text.ts";
import type { Env, ReferenceScope } from "./references.ts";
import { hasTemplate } from "./template-names.ts";
import { parseYaml } from "./yaml-file.ts";

export interface LoadOptions {
	readonly env: Env;
	/** Types of connections whose secrets are not read, since stand-ins take their place. */
	readonly standIns?: ReadonlySet<ConnectionType>;
}

/**
 * Reads and checks a pipeline by name or path, with the connections it uses.
 * @throws HeadraceErrors with every fault of both files, sorted by place
 */
export async function loadPipeline(
	directory: string,
	nameOrPath: string,
	options: LoadOptions,
): Promise<CheckedPipeline> {
	let file: string;
	try {
		file = findPipeline(directory, nameOrPath);
	} catch (error) {
		throw new HeadraceErrors(faultsOf(error));
	}
	return checkPipelineText(readText(file), { ...options, file, directory: projectDirectory(directory, file) });
}

export interface TextOptions extends LoadOptions {
	readonly file: string;
	/** Relative paths start here. */
	readonly directory: string;
}

/**
 * Checks the text of a pipeline file; connections are looked for beside `file` and above.
 * @throws HeadraceErrors
 */
export async function checkPipelineText(text: string, options: TextOptions): Promise<CheckedPipeline> {
	const { file, directory, env, standIns } = options;
	const scope: ReferenceScope = { env, directory, ...(standIns === undefined ? {} : { standIns }) };
	const yaml = parseYaml(text, file);
	// Liquid is loaded only for a file that has templates.
	const checkTemplate = hasTemplate(text) ? (await import("./template.ts")).checkTemplate : undefined;
	return checkPipeline({
		value: yaml.value,
		positions: yaml.positions,
		faults: yaml.faults,
		name: basename(file).replace(/\.ya?ml$/, ""),
		file,
		scope,
		connections: once(() => projectConnections(connectionFolders(file), scope)),
		projectAlerts: () => {
			const found = findProjectFile(connectionFolders(file), "alerts");
			return found === undefined ? undefined : parseYaml(readText(found), found);
		},
		checkTemplate,
	});
}

function projectConnections(folders: readonly string[], scope: ReferenceScope): Connections {
	const found = findConnectionsFile(folders);
	return found === undefined ? connectionsOf({}, scope) : readConnections(found, scope);
}

/** The result of the first call; a throw is not kept. */
function once<Result>(work: () => Result): () => Result {
	let kept: { readonly result: Result } | undefined;
	return () => {
		kept ??= { result: work() };
		return kept.result;
	};
}

/**
 * What an argument of the command line names: a connection of the project, an address, or a path. A plain word that is
 * no connection may be a file or folder that exists.
 * @throws HeadraceErrors
 */
export function loadConnection(directory: string, text: string, options: LoadOptions): Connection {
	const scope: ReferenceScope = { env: options.env, directory };
	try {
		if (text.includes(":")) return parseAddress(text, directory, options);
		const connections = loadConnections(directory, options);
		const isFile = !text.includes("\0") && existsSync(resolve(directory, text));
		if (isFile && !connections.names.includes(text)) return parseAddress(text, directory);
		return connectionFor(text, connections, scope);
	} catch (error) {
		throw new HeadraceErrors(faultsOf(error));
	}
}

/**
 * The connections of a project's folder: connections.yaml in it, in its `pipelines/`, or in the folder above.
 * @throws HeadraceErrors
 */
export function loadConnections(directory: string, options: LoadOptions): Connections {
	const folders = [directory, `${directory}/pipelines`, `${directory}/..`];
	return projectConnections(folders, { env: options.env, directory });
}
