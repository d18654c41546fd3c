import { lookup as systemLookup } from "node:dns/promises";
import { BlockList, isIP, type LookupFunction } from "node:net";
import { DeliveryError } from "./delivery.ts";

export interface Address {
	readonly address: string;
	readonly family: 4 | 6;
}

/** Every address of a name, as `dns.lookup` with `all` gives them. */
export type Lookup = (name: string) => Promise<readonly Address[]>;

function blocked(v4: readonly (readonly [string, number])[], v6: readonly (readonly [string, number])[]): BlockList {
	const list = new BlockList();
	for (const [network, prefix] of v4) list.addSubnet(network, prefix, "ipv4");
	for (const [network, prefix] of v6) list.addSubnet(network, prefix, "ipv6");
	return list;
}

/** Never the address of a channel: "this network", link-local (cloud metadata), multicast, broadcast. */
const NEVER = blocked(
	[
		["0.0.0.0", 8],
		["169.254.0.0", 16],
		["224.0.0.0", 4],
		["240.0.0.0", 4],
	],
	[
		["::", 128],
		["fe80::", 10],
		["fd00:ec2::", 32],
		["ff00::", 8],
	],
);

/**
 * Not the public internet, by the special-purpose registries of IANA:
 * https://www.iana.org/assignments/iana-ipv4-special-registry, …/iana-ipv6-special-registry. Addresses of version 6
 * that carry one of version 4 (NAT64, 6to4, Teredo) are among them.
 */
const PRIVATE = blocked(
	[
		["10.0.0.0", 8],
		["100.64.0.0", 10],
		["127.0.0.0", 8],
		["172.16.0.0", 12],
		["192.0.0.0", 24],
		["192.0.2.0", 24],
		["192.168.0.0", 16],
		["198.18.0.0", 15],
		["198.51.100.0", 24],
		["203.0.113.0", 24],
	],
	[
		["::", 96],
		["64:ff9b::", 96],
		["64:ff9b:1::", 48],
		["100::", 64],
		["2001::", 23],
		["2001:db8::", 32],
		["2002::", 16],
		["fc00::", 7],
		["fec0::", 10],
	],
);

/**
 * The addresses of a host, looked up once: whoever connects uses these and asks no name server again, so that nobody
 * can answer differently the second time.
 * @throws DeliveryError when one of them is private or this machine's and that is not allowed; when there is none
 */
export async function addressesOf(
	host: string,
	allowPrivate: boolean,
	lookup: Lookup = (name) => systemLookup(name, { all: true }) as Promise<Address[]>,
): Promise<readonly Address[]> {
	const family = isIP(host);
	const found = family === 0 ? await lookUp(host, lookup) : [{ address: host, family: family as 4 | 6 }];
	for (const { address, family: version } of found) {
		const kind = version === 4 ? "ipv4" : "ipv6";
		const named = host === address ? host : `${host} (${address})`;
		if (NEVER.check(address, kind))
			throw new DeliveryError(`${named} is an address that no channel may have`, { permanent: true });
		if (!allowPrivate && PRIVATE.check(address, kind))
			throw new DeliveryError(`${named} is on this machine or in a private network`, {
				permanent: true,
				hint: "Write allow_private: true if the channel is meant to be there.",
			});
	}
	return found;
}

/** For `connect`: the addresses that were checked, whatever name server is asked meanwhile. */
export function fixedLookup(addresses: readonly Address[]): LookupFunction {
	return (_name, options, done) => {
		if (options.all === true) done(null, [...addresses]);
		else done(null, addresses[0]!.address, addresses[0]!.family);
	};
}

async function lookUp(host: string, lookup: Lookup): Promise<readonly Address[]> {
	let found: readonly Address[];
	try {
		found = await lookup(host);
	} catch (cause) {
		const code = (cause as NodeJS.ErrnoException).code ?? "unknown";
		throw new DeliveryError(`the name ${host} could not be looked up (${code})`, { cause });
	}
	if (found.length === 0) throw new DeliveryError(`the name ${host} has no address`);
	return found;
}
