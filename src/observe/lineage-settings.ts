import { isAbsolute, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Where events of OpenLineage go, and what they say of this place. */
export interface LineageSettings {
	readonly transport: LineageTransport;
	/** Of jobs. */
	readonly namespace: string;
	/** The run of another scheduler that a run is a part of. */
	readonly parent?: { readonly namespace: string; readonly name: string; readonly runId: string };
}

export type LineageTransport =
	| { readonly type: "http"; readonly url: string; readonly apiKey?: string; readonly timeoutMs: number }
	/** Lines are appended. */
	| { readonly type: "file"; readonly path: string };

const ENDPOINT_DEFAULT = "api/v1/lineage";
const TIMEOUT_MS_DEFAULT = 5_000;
const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

/**
 * The environment's settings, by the names that OpenLineage's own clients have: OPENLINEAGE_URL, OPENLINEAGE_API_KEY,
 * OPENLINEAGE_ENDPOINT, OPENLINEAGE_NAMESPACE, OPENLINEAGE_DISABLED, OPENLINEAGE_PARENT_ID, and OPENLINEAGE__TRANSPORT__…
 * for `http` and `file`. Null when nothing is asked for; a text when it can't be understood.
 * See https://openlineage.io/docs/client/python
 */
export function lineageSettings(
	env: Readonly<Record<string, string | undefined>>,
	directory: string,
): LineageSettings | string | null {
	const value = (name: string) => (env[name] === "" ? undefined : env[name]);
	if (/^(?:true|1)$/i.test(value("OPENLINEAGE_DISABLED") ?? "")) return null;
	const transport = transportOf(value, directory);
	if (transport === null || typeof transport === "string") return transport;
	const [, namespace, name, runId] = /^(.+)\/([^/]+)\/([^/]+)$/.exec(value("OPENLINEAGE_PARENT_ID") ?? "") ?? [];
	const parent =
		runId !== undefined && UUID.test(runId) ? { parent: { namespace: namespace!, name: name!, runId } } : {};
	return { transport, namespace: value("OPENLINEAGE_NAMESPACE") ?? "default", ...parent };
}

function transportOf(value: (name: string) => string | undefined, directory: string): LineageTransport | string | null {
	const own = (name: string) => value(`OPENLINEAGE__TRANSPORT__${name}`);
	const address = own("URL") ?? value("OPENLINEAGE_URL");
	const type = own("TYPE") ?? (address === undefined ? undefined : "http");
	if (type === undefined) return null;
	if (type === "file") {
		const path = own("LOG_FILE_PATH");
		if (path === undefined) return "OPENLINEAGE__TRANSPORT__LOG_FILE_PATH is not set";
		return { type, path: isAbsolute(path) ? path : join(directory, path) };
	}
	if (type !== "http") return `a transport of type ${type.slice(0, 40)} is not built in; http and file are`;
	let url: URL;
	try {
		url = new URL(address ?? "");
	} catch {
		return "OPENLINEAGE_URL is no address such as https://lineage.example.com";
	}
	if (url.protocol === "file:") return { type: "file", path: fileURLToPath(url) };
	if (url.protocol !== "http:" && url.protocol !== "https:")
		return "OPENLINEAGE_URL has to begin with https:// or http://";
	const base = url.href.endsWith("/") ? url.href : `${url.href}/`;
	const endpoint = own("ENDPOINT") ?? value("OPENLINEAGE_ENDPOINT") ?? ENDPOINT_DEFAULT;
	const apiKey = own("AUTH__APIKEY") ?? own("AUTH__API_KEY") ?? value("OPENLINEAGE_API_KEY");
	const seconds = Number(own("TIMEOUT") ?? Number.NaN);
	return {
		type,
		url: new URL(endpoint.replace(/^\/+/, ""), base).href,
		...(apiKey === undefined ? {} : { apiKey }),
		timeoutMs: seconds > 0 && seconds <= 60 ? seconds * 1000 : TIMEOUT_MS_DEFAULT,
	};
}
