import { createHmac, randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { Secret } from "../core/index.ts";
import { KeyedHash } from "./keyed-hash.ts";

test("is node's HMAC-SHA-256 for every length of value and key", () => {
	for (const keyLength of [0, 1, 20, 32, 63, 64, 65, 200]) {
		const key = randomBytes(keyLength).toString("base64").slice(0, keyLength);
		const keyed = new KeyedHash(new Secret(key));
		for (let length = 0; length < 260; length++) {
			const value = randomBytes(length);
			expect(keyed.hex(value).toString("latin1")).toBe(createHmac("sha256", key).update(value).digest("hex"));
		}
		const long = randomBytes(100_000);
		expect(keyed.hex(long).toString("latin1")).toBe(createHmac("sha256", key).update(long).digest("hex"));
	}
});

test("RFC 4231, test case 2", () => {
	const hex = new KeyedHash(new Secret("Jefe")).hex(Buffer.from("what do ya want for nothing?"));
	expect(hex.toString("latin1")).toBe("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
});
