SELECT count(*) AS row_count, count(*) FILTER (WHERE NOT is_repeated) AS keys, count(*) FILTER (WHERE is_null) AS nulls
FROM (
	SELECT coalesce(lag("id") OVER by_key = "id" AND lag("region") OVER by_key = "region", false) AS is_repeated, "id" IS NULL OR "region" IS NULL AS is_null
	FROM "temp"."main"."stage_x" WINDOW by_key AS (ORDER BY "id", "region")
) AS checked;

DELETE FROM "temp"."main"."stage_x" WHERE rowid IN (
	SELECT row_identifier FROM (
		SELECT rowid AS row_identifier, row_number() OVER (PARTITION BY "id", "region" ORDER BY "modified" DESC NULLS LAST, rowid DESC) AS place
		FROM "temp"."main"."stage_x"
	) AS places WHERE place > 1
);

DELETE FROM "db"."raw"."orders" AS t USING "temp"."main"."stage_x" AS s
WHERE t."id" = s."id" AND t."region" = s."region" AND coalesce(CAST(s."is_deleted" AS BOOLEAN), FALSE);

DELETE FROM "temp"."main"."stage_x" WHERE coalesce(CAST("is_deleted" AS BOOLEAN), FALSE);

SELECT count(*) AS known, coalesce(sum(n), 0) AS known_rows
FROM (SELECT count(*) AS n FROM "db"."raw"."orders" AS t JOIN "temp"."main"."stage_x" AS s ON t."id" = s."id" AND t."region" = s."region" GROUP BY s."id", s."region");

DELETE FROM "temp"."main"."stage_x" AS s USING "db"."raw"."orders" AS t
WHERE t."id" = s."id" AND t."region" = s."region"
	AND t."price" IS NOT DISTINCT FROM s."price"
	AND t."share" IS NOT DISTINCT FROM s."share" AND signbit(t."share") IS NOT DISTINCT FROM signbit(s."share")
	AND CAST(t."span" AS VARCHAR) IS NOT DISTINCT FROM CAST(s."span" AS VARCHAR)
	AND t."rowid" IS NOT DISTINCT FROM s."_headrace_rowid";

DELETE FROM "db"."raw"."orders" AS t USING "temp"."main"."stage_x" AS s WHERE t."id" = s."id" AND t."region" = s."region";

INSERT INTO "db"."raw"."orders" ("id", "region", "price", "share", "span", "rowid")
SELECT "id", "region", "price", "share", "span", "_headrace_rowid" FROM "temp"."main"."stage_x";
