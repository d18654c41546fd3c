import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { type ErrorPlace, HeadraceError, HeadraceErrors } from "../core/errors.ts";
import { faultsOf, looksLikeAddress, parseAddress } from "./address.ts";
import { checkConnection, type RawField } from "./connection.ts";
import { CONNECTION_TYPES, SCHEMES } from "./connection-types.ts";
import type { Connection, ConnectionType } from "./pipeline.ts";
import type { Path, Positions } from "./positions.ts";
import { NO_POSITIONS } from "./positions.ts";
import { readText } from "./read-text.ts";
import { type PlaceWithin, type ReferenceScope, resolveText } from "./references.ts";
import { resolveReferences } from "./resolve.ts";
import { addressWithoutSecrets, withoutSecrets } from "./stand-ins.ts";
import { didYouMean } from "./suggest.ts";
import { parseYaml } from "./yaml-file.ts";

/** The connections of a project. Only one that is asked for has its references resolved. */
export interface Connections {
	/** Absent when there is no connections.yaml. */
	readonly file?: string;
	readonly names: readonly string[];
	/** @throws HeadraceErrors */
	get(name: string): Connection;
}

/** connections.yaml in the first of the folders that has one. */
export function findConnectionsFile(folders: readonly string[]): string | undefined {
	return findProjectFile(folders, "connections");
}

/** A file that all pipelines of a project share, in the first of the folders that has one. */
export function findProjectFile(folders: readonly string[], name: string): string | undefined {
	return folders
		.flatMap((folder) => ["yaml", "yml"].map((ending) => join(folder, `${name}.${ending}`)))
		.find((file) => existsSync(file));
}

/** Folders in which the connections of a pipeline file are looked for: beside it, then above. */
export function connectionFolders(pipelineFile: string): string[] {
	const beside = dirname(pipelineFile);
	return [beside, dirname(beside)];
}

/**
 * Reads connections.yaml.
 * @throws HeadraceErrors
 */
export function readConnections(file: string, scope: ReferenceScope): Connections {
	const yaml = parseYaml(readText(file), file);
	if (yaml.faults.length > 0) throw new HeadraceErrors(yaml.faults);
	return connectionsOf(yaml.value as Record<string, unknown>, scope, yaml.positions, file);
}

/** Connections from plain values. */
export function connectionsOf(
	values: Readonly<Record<string, unknown>>,
	scope: ReferenceScope,
	positions: Positions = NO_POSITIONS,
	file?: string,
): Connections {
	return {
		...(file !== undefined && { file }),
		names: Object.keys(values),
		get: (name) => readConnection(name, values[name], scope, positions),
	};
}

function readConnection(name: string, value: unknown, scope: ReferenceScope, positions: Positions): Connection {
	const place = positions.key([name]);
	if (typeof value === "string") {
		const placeWithin: PlaceWithin = (line, column) => positions.within([name], line, column);
		return addressConnection(value, scope, { name, place: positions.value([name]), placeWithin });
	}
	const fault = (message: string, path: Path, meant = "") =>
		new HeadraceErrors([new HeadraceError("E_INVALID_VALUE", message + meant, positions.value(path))]);
	if (typeof value !== "object" || value === null || Array.isArray(value))
		throw fault(`connection ${name} must be an address or a map with type`, [name]);
	const resolved = resolveReferences(ofStandIn(value, scope), scope, positions, [name]);
	if (resolved.faults.length > 0) throw new HeadraceErrors(resolved.faults);
	const { type: written, ...own } = resolved.value as Record<string, unknown>;
	const types = Object.keys(CONNECTION_TYPES);
	const list = `; the types are ${types.join(", ")}`;
	if (written === undefined) throw fault(`connection ${name} has no type`, [name], list);
	const type = typeof written === "string" && Object.hasOwn(SCHEMES, written) ? SCHEMES[written] : undefined;
	if (type === undefined)
		throw fault(
			`unknown type ${JSON.stringify(written)} of connection ${name}`,
			[name, "type"],
			didYouMean(String(written), types, {}, list),
		);
	const fields = new Map<string, RawField>();
	for (const [key, each] of Object.entries(own)) {
		const path = [name, key];
		const source = positions.source(path);
		fields.set(key, {
			value: each,
			source: source?.includes("${") ? undefined : source,
			origin: resolved.origin(path),
			keyPlace: positions.key(path),
			valuePlace: positions.value(path),
		});
	}
	return checkConnection({ name, type: type satisfies ConnectionType, fields, directory: scope.directory, place });
}

function ofStandIn(value: object, scope: ReferenceScope): object {
	const { type: written } = value as { readonly type?: unknown };
	const type = typeof written === "string" && Object.hasOwn(SCHEMES, written) ? SCHEMES[written] : undefined;
	return type !== undefined && scope.standIns?.has(type) === true
		? withoutSecrets(type, value as Record<string, unknown>)
		: value;
}

/** An address of a file; one that is a reference as a whole is read after it is resolved. */
function addressConnection(
	text: string,
	scope: ReferenceScope,
	options: { readonly name?: string; readonly place: ErrorPlace; readonly placeWithin?: PlaceWithin },
): Connection {
	if (!/^\s*\$\{[^}]*\}\s*$/.test(text)) {
		const scheme = /^\s*([A-Za-z][A-Za-z0-9+.-]+):/.exec(text)?.[1]?.toLowerCase() ?? "";
		const type = Object.hasOwn(SCHEMES, scheme) ? SCHEMES[scheme] : undefined;
		const isStoodIn = type !== undefined && scope.standIns?.has(type) === true;
		const address = isStoodIn ? addressWithoutSecrets(type, text.trim()) : text;
		return parseAddress(address, scope.directory, { ...options, env: scope.env });
	}
	const { text: address, origin } = resolveText(text.trim(), scope, options.place, options.placeWithin);
	return parseAddress(address, scope.directory, { ...options, origin });
}

/**
 * What `from`, `to` or an argument of the command line names: a connection, an address or a path.
 * @throws HeadraceErrors with E_UNKNOWN_CONNECTION for a plain word that is no connection
 */
export function connectionFor(
	text: string,
	connections: Connections,
	scope: ReferenceScope,
	place: ErrorPlace = {},
): Connection {
	if (connections.names.includes(text)) return connections.get(text);
	const resolved = /^\$\{[^}]*\}$/.test(text) ? resolveText(text, scope, place).text : text;
	if (connections.names.includes(resolved)) return connections.get(resolved);
	if (looksLikeAddress(resolved) || resolved.includes("${")) return addressConnection(text, scope, { place });
	const known = connections.names.length === 0 ? "" : `; its connections are ${connections.names.join(", ")}`;
	const meant = didYouMean(resolved, connections.names, {}, known);
	const where = connections.file === undefined ? "there is no connections.yaml" : "connections.yaml has no such name";
	throw new HeadraceErrors([
		new HeadraceError(
			"E_UNKNOWN_CONNECTION",
			`unknown connection ${JSON.stringify(text.slice(0, 120))}: ${where}${meant}`,
			{
				...place,
				hint: `Add it to connections.yaml, or write an address such as mysql://…, or ./${text.slice(0, 120)} for a folder.`,
			},
		),
	]);
}

/** Runs the work and puts its faults on the list; undefined when there were any. */
export function collecting<Result>(faults: HeadraceError[], work: () => Result): Result | undefined {
	try {
		return work();
	} catch (error) {
		faults.push(...faultsOf(error));
		return undefined;
	}
}
