import { describe, expect, test } from "vitest";
import { type Address, addressesOf } from "./address.ts";

const answering = (...addresses: string[]) => {
	let asked = 0;
	const lookup = async (): Promise<Address[]> => {
		asked++;
		return addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
	};
	return { lookup, asked: () => asked };
};

const PUBLIC = ["93.184.215.14", "2606:4700:4700::1111", "172.15.255.255", "172.32.0.0", "11.0.0.1", "192.169.0.1"];
const PRIVATE = [
	"127.0.0.1",
	"127.255.255.254",
	"10.1.2.3",
	"172.16.0.1",
	"172.31.255.255",
	"192.168.1.1",
	"100.64.0.1",
	"198.18.0.1",
	"::1",
	"::7f00:1",
	"::ffff:127.0.0.1",
	"::ffff:10.0.0.1",
	"64:ff9b::7f00:1",
	"2002:7f00:1::",
	"2001:db8::1",
	"fd12:3456::1",
	"fc00::1",
];
const NEVER = [
	"169.254.169.254",
	"::ffff:169.254.169.254",
	"fd00:ec2::254",
	"fe80::1",
	"0.0.0.0",
	"::",
	"224.0.0.1",
	"ff02::1",
	"255.255.255.255",
];

describe.each([
	["as the host itself", async (address: string, allow: boolean) => addressesOf(address, allow)],
	[
		"as what a name stands for",
		async (address: string, allow: boolean) => addressesOf("hook.test", allow, answering(address).lookup),
	],
])("an address %s", (_how, ask) => {
	test.each(PUBLIC)("%s is taken", async (address) => {
		expect(await ask(address, false)).toMatchObject([{ address }]);
	});
	test.each(PRIVATE)("%s is refused unless it is allowed", async (address) => {
		await expect(ask(address, false)).rejects.toMatchObject({ permanent: true, hint: /allow_private/ });
		expect(await ask(address, true)).toMatchObject([{ address }]);
	});
	test.each(NEVER)("%s is refused, allowed or not", async (address) => {
		await expect(ask(address, false)).rejects.toMatchObject({ permanent: true });
		await expect(ask(address, true)).rejects.toMatchObject({ permanent: true });
	});
});

test("one private address among public ones refuses the name; it is asked once", async () => {
	const { lookup, asked } = answering("93.184.215.14", "10.0.0.1");
	await expect(addressesOf("hook.test", false, lookup)).rejects.toThrow("hook.test (10.0.0.1)");
	expect(asked()).toBe(1);
});

test("a name without an address may have one later", async () => {
	await expect(addressesOf("hook.test", false, answering().lookup)).rejects.toMatchObject({ permanent: false });
	const failing = async () => {
		throw Object.assign(new Error("x"), { code: "ENOTFOUND" });
	};
	await expect(addressesOf("hook.test", false, failing)).rejects.toThrow("could not be looked up (ENOTFOUND)");
});
