import { isIP } from "node:net";
import { hostname } from "node:os";
import { HeadraceError } from "../core/index.ts";

export interface Listening {
	/** What it binds to. */
	readonly host: string;
	readonly port: number;
	/** The address that people use when a proxy is in between: `https://headrace.example.com`. */
	readonly publicUrl: URL | null;
	/** Whether the server itself speaks TLS. */
	readonly tls: boolean;
	/** More names that the server is asked for by. */
	readonly allowedHosts: readonly string[];
}

export function isLoopback(host: string): boolean {
	const bare = host.replace(/^\[|\]$/g, "");
	return bare === "localhost" || bare === "::1" || /^127(?:\.\d{1,3}){3}$/.test(bare);
}

/** Whether browsers reach the server by https only. */
export function isSecure({ tls, publicUrl }: Listening): boolean {
	return publicUrl === null ? tls : publicUrl.protocol === "https:";
}

/**
 * The names that a `Host` header may have. A page of another site that makes its own name lead to this machine (DNS
 * rebinding) sends that name: it is not among them. An address of digits can't be made to lead elsewhere.
 */
export function hostAllowed(header: string | undefined, listening: Listening): boolean {
	const asked = parseHost(header);
	if (asked === null) return false;
	const { publicUrl, host, port, tls, allowedHosts } = listening;
	const portOf = (text: string, secure: boolean) => (text === "" ? (secure ? 443 : 80) : Number(text));
	if (publicUrl !== null && asked.name === publicUrl.hostname) {
		const secure = publicUrl.protocol === "https:";
		if (portOf(asked.port, secure) === portOf(publicUrl.port, secure)) return true;
	}
	if (allowedHosts.includes(asked.name) || allowedHosts.includes(`${asked.name}:${asked.port}`)) return true;
	if (portOf(asked.port, tls) !== port) return false;
	if (isLoopback(asked.name)) return isLoopback(host) || isAny(host);
	if (asked.name === host.toLowerCase()) return true;
	return isAny(host) && (isIP(asked.name.replace(/^\[|\]$/g, "")) !== 0 || asked.name === hostname().toLowerCase());
}

function isAny(host: string): boolean {
	return host === "0.0.0.0" || host === "::";
}

function parseHost(header: string | undefined): { readonly name: string; readonly port: string } | null {
	const match = /^([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?$/i.exec(header ?? "");
	return match === null ? null : { name: match[1]!.toLowerCase().replace(/\.$/, ""), port: match[2] ?? "" };
}

/** Whether an `Origin` is this server as the `Host` header names it, or as its public address does. */
export function originAllowed(origin: string, host: string | undefined, { publicUrl }: Listening): boolean {
	try {
		const { host: asking, origin: whole } = new URL(origin);
		return asking === host?.toLowerCase() || whole === publicUrl?.origin;
	} catch {
		return false;
	}
}

/** The address to open in a browser on this machine. */
export function addressOf({ host, port, publicUrl, tls }: Listening): string {
	if (publicUrl !== null) return publicUrl.href.replace(/\/$/, "");
	const name = isAny(host) ? "127.0.0.1" : host.includes(":") ? `[${host}]` : host;
	return `${tls ? "https" : "http"}://${name}:${port}`;
}

/** @throws E_USAGE */
export function parsePublicUrl(text: string): URL {
	const url = URL.parse(text);
	if (
		url === null ||
		!/^https?:$/.test(url.protocol) ||
		url.pathname !== "/" ||
		url.username !== "" ||
		url.search !== ""
	)
		throw new HeadraceError("E_USAGE", "--public-url takes an address without a path: https://headrace.example.com");
	return url;
}
