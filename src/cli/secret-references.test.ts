import { expect, test } from "vitest";
import { withReferences } from "./secret-references.ts";

test.each<[string, string, string[]]>([
	["mysql://u:p%40ss@h:3306/db", "mysql://u:${env:SHOP_PASSWORD}@h:3306/db", ["SHOP_PASSWORD"]],
	["mysql://u:p@ss@h/db", "mysql://u:${env:SHOP_PASSWORD}@h/db", ["SHOP_PASSWORD"]],
	["mysql://u:${env:MINE}@h/db", "mysql://u:${env:MINE}@h/db", []],
	["mysql://u@h:3306/db", "mysql://u@h:3306/db", []],
	["mysql://h:3306/db", "mysql://h:3306/db", []],
	[
		"postgres://u@h/db?password=pw&tls=off",
		"postgres://u@h/db?password=${env:SHOP_PASSWORD}&tls=off",
		["SHOP_PASSWORD"],
	],
	[
		"s3://bucket/p?access_key_id=AK&secret_access_key=SK",
		"s3://bucket/p?access_key_id=${env:SHOP_ACCESS_KEY_ID}&secret_access_key=${env:SHOP_SECRET_ACCESS_KEY}",
		["SHOP_ACCESS_KEY_ID", "SHOP_SECRET_ACCESS_KEY"],
	],
	["duckdb:shop.duckdb", "duckdb:shop.duckdb", []],
	["./a:b@c", "./a:b@c", []],
])("%s becomes %s", (address, text, variables) => {
	expect(withReferences(address, "SHOP")).toEqual({ text, variables });
});
