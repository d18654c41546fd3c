INSERT INTO "db"."raw"."orders" ("id", "region", "price", "share", "span", "rowid")
SELECT c0, c1, c2, c3, c4, c5 FROM (
	SELECT "id" AS c0, "region" AS c1, "price" AS c2, "share" AS c3, "span" AS c4, "_headrace_rowid" AS c5, signbit("share") AS told_apart_3, CAST("span" AS VARCHAR) AS told_apart_4 FROM "temp"."main"."stage_x"
	EXCEPT ALL
	SELECT "id" AS c0, "region" AS c1, "price" AS c2, "share" AS c3, "span" AS c4, "rowid" AS c5, signbit("share") AS told_apart_3, CAST("span" AS VARCHAR) AS told_apart_4 FROM "db"."raw"."orders" WHERE "at" >= CAST('2024-01-01 00:00:00' AS TIMESTAMP)
);
