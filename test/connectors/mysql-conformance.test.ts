import { describe, test } from "vitest";
import { caseTitle, type Gap, sourceSuite } from "../../src/conformance/index.ts";
import { missing } from "../support/start.ts";
import { MYSQL_SERVERS, mysqlFixture } from "./mysql-support.ts";

const NO_TYPE: readonly Gap[] = [
	["time", "MySQL's TIME goes from -838 to 838 hours and is an interval; see mysql-types.test.ts"],
	["interval", "MySQL has no interval of months and days; see mysql-types.test.ts for TIME"],
	["int64[]", "MySQL has no arrays"],
].map(([type, reason]) => ({ case: `type ${type}: the extremes and NULL arrive equal`, reason: reason! }));

const OF_MYSQL_56: readonly Gap[] = [
	{ case: "type uuid: the extremes and NULL arrive equal", reason: "MySQL has no UUID type" },
	{ case: "type json: the extremes and NULL arrive equal", reason: "MySQL 5.6 has no JSON type" },
];

describe.each(MYSQL_SERVERS)("source %s", (server) => {
	const cases = sourceSuite({
		open: () => mysqlFixture(server),
		skip: server === "mysql56" ? [...NO_TYPE, ...OF_MYSQL_56] : NO_TYPE,
	});
	describe.skipIf(missing(server))("conformance", () => {
		// Each has a database of its own, and waits for the server's clock most of the time.
		for (const c of cases) test(caseTitle(c), { concurrent: true, skip: c.skip !== undefined }, c.run);
	});
});
