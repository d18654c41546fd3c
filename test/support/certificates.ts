/** A certificate authority of its own and a server certificate signed by it, made by the `openssl` command. */
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import { runAside } from "./processes.ts";

export interface Certificates {
	/** Path of the authority's certificate: what a client has to trust. */
	readonly ca: string;
	readonly certificate: string;
	readonly key: string;
}

/** Why TLS cannot be set up on this machine, or undefined. */
export function tlsUnavailable(): string | undefined {
	return spawnSync("openssl", ["version"]).status === 0 ? undefined : "the `openssl` command is missing";
}

/**
 * Makes authority, key and certificate in `folder`, valid for `names` (host names or addresses).
 * PostgreSQL insists that the key belongs to the account it runs under.
 */
export async function makeCertificates(
	folder: string,
	names: readonly string[] = ["127.0.0.1", "localhost"],
	owner?: { uid: number; gid: number },
): Promise<Certificates> {
	mkdirSync(folder, { recursive: true });
	const file = (name: string) => join(folder, name);
	const keyOptions = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
	await runAside("openssl", [
		..."req -x509 -days 30 -subj /CN=headrace-test-authority".split(" "),
		...keyOptions,
		...["-addext", "keyUsage=critical,keyCertSign,cRLSign"],
		...["-keyout", file("ca.key"), "-out", file("ca.pem")],
	]);
	await runAside("openssl", [
		..."req -subj /CN=headrace-test-server".split(" "),
		...keyOptions,
		...["-keyout", file("server.key"), "-out", file("server.csr")],
	]);
	const subjects = names.map((name) => `${isIP(name) ? "IP" : "DNS"}:${name}`).join(",");
	writeFileSync(file("extensions"), `subjectAltName=${subjects}\nextendedKeyUsage=serverAuth\n`);
	await runAside("openssl", [
		..."x509 -req -days 30 -CAcreateserial".split(" "),
		...["-in", file("server.csr"), "-CA", file("ca.pem"), "-CAkey", file("ca.key")],
		...["-extfile", file("extensions"), "-out", file("server.pem")],
	]);
	copyFileSync(file("server.key"), file("key.pem"));
	chmodSync(file("key.pem"), 0o600);
	if (owner !== undefined) chownSync(file("key.pem"), owner.uid, owner.gid);
	return { ca: file("ca.pem"), certificate: file("server.pem"), key: file("key.pem") };
}
