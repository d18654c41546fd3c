import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readConnections } from "../../src/config/connections.ts";
import { envelopeOf, headrace } from "./cli.ts";

let directory: string;
beforeEach(() => {
	directory = mkdtempSync(join(tmpdir(), "headrace-import-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const at = (...path: string[]): string => join(directory, ...path);
const run = (...words: string[]) => headrace(["import", ...words], { cwd: directory });
const connection = (name: string) =>
	readConnections(at("connections.yaml"), { directory, env: {} }).get(name) as unknown as Record<string, unknown>;
const reveal = (secret: unknown) => (secret as { reveal(): string }).reveal();

/** As the scripts that people have today read it. */
const PIPELINE_CONF = `# credentials of the pipeline
[mysql_config]
hostname = shop.example.com
port = 3306
username = reader
password = p#ss=w;rd\${x}
database = shop

[aws_boto_credentials]
access_key = AKIAEXAMPLE
secret_key = s3cr3t/Key+
bucket_name = acme-pipeline
account_id = 4515465518

[aws_creds]
database = dw
username = loader
password: warehouse pass
host = dw.4754875843.us-east-1.redshift.amazonaws.com
port = 5439
iam_role = RedshiftLoadRole

[snowflake_creds]
username = flake
password = flakes
account_name = acct1.us-east-2.aws

[postgres_config]
host = pg.example.com
port = 5432
username = pg
password = pgpg
database = app
sslmode = require

[mongo_config]
hostname = mongo.example.com
password = m0ng0
`;

test("sections become connections that can be used; secrets go to files of their owner", async () => {
	writeFileSync(at("pipeline.conf"), PIPELINE_CONF);
	const result = await run("pipeline.conf");
	expect(result.code, result.stderr).toBe(0);
	for (const secret of ["p#ss=w;rd", "s3cr3t/Key+", "AKIAEXAMPLE", "warehouse pass", "flakes", "pgpg", "m0ng0"])
		for (const text of [result.stdout, result.stderr, readFileSync(at("connections.yaml"), "utf8")])
			expect(text).not.toContain(secret);
	expect(result.stdout).toContain("mysql      mysql, from [mysql_config]");
	expect(result.stderr).toContain("[mongo_config] was left out: it names no system");
	expect(result.stderr).toContain("[postgres_config] sslmode was left out");
	expect(connection("mysql")).toMatchObject({
		type: "mysql",
		host: "shop.example.com",
		port: 3306,
		user: "reader",
		database: "shop",
	});
	expect(reveal(connection("mysql")["password"])).toBe("p#ss=w;rd${x}");
	expect(connection("redshift")).toMatchObject({
		type: "redshift",
		user: "loader",
		iamRole: "arn:aws:iam::4515465518:role/RedshiftLoadRole",
	});
	expect(connection("s3")).toMatchObject({ type: "s3", bucket: "acme-pipeline" });
	expect(reveal(connection("s3")["secretAccessKey"])).toBe("s3cr3t/Key+");
	expect(connection("snowflake")).toMatchObject({ account: "acct1.us-east-2.aws" });
	expect(connection("postgres")).toMatchObject({ type: "postgres", database: "app" });
	const secret = at(".headrace/secrets/mysql_password");
	expect(statSync(secret).mode & 0o777).toBe(0o600);
	expect(statSync(at(".headrace")).mode & 0o777).toBe(0o700);
	expect(readFileSync(at(".headrace/.gitignore"), "utf8")).toBe("*\n");
});

test("--json tells the same; what is in connections.yaml stays, and no name is taken twice", async () => {
	writeFileSync(at("connections.yaml"), "# ours\nwarehouse: duckdb:w.duckdb   # the file\n");
	writeFileSync(at("a.conf"), "[shop_mysql_config]\nhost = a\nuser = u\npassword = first-secret\n");
	const result = await run("a.conf", "--json");
	expect(envelopeOf(result)).toMatchObject({
		ok: true,
		data: {
			file: "connections.yaml",
			connections: [{ name: "shop_mysql", type: "mysql", section: "shop_mysql_config" }],
			secret_files: [".headrace/secrets/shop_mysql_password"],
			left_out: [],
		},
	});
	expect(result.stdout + result.stderr).not.toContain("first-secret");
	const text = readFileSync(at("connections.yaml"), "utf8");
	expect(text).toMatch(/^# ours\nwarehouse: duckdb:w\.duckdb {3}# the file\nshop_mysql: \{ type: mysql,/);
	const again = await run("a.conf");
	expect(again.code).toBe(2);
	expect(again.stderr).toContain("has shop_mysql already");
	expect(readFileSync(at("connections.yaml"), "utf8")).toBe(text);
});

test.each([
	["[a]\npassword hunter2\n", "x.conf:2: the line is no [section]"],
	["key = hunter2\n", "x.conf:1: key stands before the first [section]"],
	["[mysql]\npassword = hunter2\nPassword = b\n", "x.conf:3: Password is there twice"],
	["[mysql]\nhost = h\nport = hunter2\n", "x.conf:3: port must be a whole number"],
	["[aws_creds]\nhost = h.redshift.amazonaws.com\ndatabase = d\niam_role = hunter2\n", "account_id"],
	["nothing", "x.conf:1: the line is no [section]"],
	["", "x.conf has no [section]"],
])("%j is refused and nothing is written", async (text, message) => {
	writeFileSync(at("x.conf"), text);
	const result = await run("x.conf");
	expect(result.code).toBe(2);
	expect(result.stderr).toContain(message);
	expect(result.stdout + result.stderr).not.toContain("hunter2");
	expect(existsSync(at("connections.yaml"))).toBe(false);
	expect(existsSync(at(".headrace/secrets"))).toBe(false);
});

test("a file without any system writes nothing and says so", async () => {
	writeFileSync(at("x.conf"), "[mongo]\nhost = h\n");
	const result = await run("x.conf");
	expect(result).toMatchObject({ code: 0 });
	expect(result.stdout).toContain("No connection was found");
	expect(existsSync(at("connections.yaml"))).toBe(false);
});
