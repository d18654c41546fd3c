import { describe, expect, test } from "vitest";
import { startS3StandIn } from "../stand-ins/s3/index.ts";
import { startSnowflakeStandIn } from "../stand-ins/snowflake/index.ts";
import { missing } from "../support/start.ts";
import { ShopCopy } from "./crash-support.ts";
import { Shop, type ShopTable } from "./shop.ts";

describe.skipIf(missing("mariadb"))("MariaDB through S3 (stand-in) into Snowflake (stand-in)", () => {
	test("Snowflake reads the staged objects by its integration; no key is in a statement; twice gives the same", async () => {
		await using shop = await Shop.open("mariadb");
		await shop.fill(50);
		await using s3 = await startS3StandIn();
		const integration = {
			roleArn: "arn:aws:iam::1:role/reads-staging",
			allowedLocations: ["s3://lake/"],
			enabled: true,
		};
		await using snowflake = await startSnowflakeStandIn({
			integrations: { S3_STAGING: integration },
			readObject: (bucket, key) => s3.get(bucket, key),
		});
		await using copy = new ShopCopy(shop, { staging: true, s3, into: "snowflake", snowflake });
		for (let round = 0; round < 2; round++) {
			await copy.project.succeed("run", "shop", "--interval", "2026-01-02");
			for (const table of ["accounts", "orders", "journal", "visits"] satisfies ShopTable[])
				expect(await copy.rows(table)).toEqual(await copy.expected(table));
		}
		const sent = snowflake.log.map(({ sql }) => sql);
		expect(sent.filter((sql) => sql.startsWith("PUT"))).toEqual([]);
		expect(sent.find((sql) => sql.startsWith("CREATE STAGE"))).toMatch(
			/URL = 's3:\/\/lake\/[^']*' STORAGE_INTEGRATION = "S3_STAGING"$/,
		);
		for (const sql of sent) expect(sql).not.toContain(s3.secretAccessKey);
	});
});
