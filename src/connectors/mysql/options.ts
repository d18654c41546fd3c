import { BlockList, isIP } from "node:net";
import type { Secret } from "../../core/index.ts";

export interface MysqlOptions {
	readonly host: string;
	readonly port: number;
	readonly user?: string;
	readonly password?: Secret;
	/** The schema of names that are written without one. */
	readonly database?: string;
	/**
	 * `verify`: TLS, with the server's certificate and name checked. `insecure`: TLS without the check. `off`: none.
	 * Default: verify; off for a loopback host unless `ca` is given.
	 */
	readonly tls?: "off" | "insecure" | "verify";
	/** Path of the authority's certificate in PEM; default: the authorities that Node trusts. */
	readonly ca?: string;
	/** Where the password comes from, for the message of a refused login: `${env:SHOP_PASSWORD}`. */
	readonly passwordReference?: string;
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");

/** Whether nobody but this machine can listen on the way. */
export function isLoopback(host: string): boolean {
	if (host === "localhost") return true;
	const version = isIP(host);
	return version !== 0 && LOOPBACK.check(host, version === 4 ? "ipv4" : "ipv6");
}

export function tlsMode(options: MysqlOptions): "off" | "insecure" | "verify" {
	return options.tls ?? (isLoopback(options.host) && options.ca === undefined ? "off" : "verify");
}
