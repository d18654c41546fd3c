UPDATE "db"."raw"."orders" SET "_headrace_valid_to" = CAST('2024-03-31 01:30:00.123456+00' AS TIMESTAMP WITH TIME ZONE) WHERE "_headrace_valid_to" IS NULL;

SELECT DISTINCT s."_headrace_absent" AS mask FROM "temp"."main"."stage_x" AS s
WHERE s."_headrace_absent" IS NOT NULL AND s."_headrace_operation" <> 'delete';

SELECT count(*) AS missing FROM "temp"."main"."stage_x" AS s
WHERE s."_headrace_absent" IS NOT NULL AND s."_headrace_operation" <> 'delete'
	AND NOT EXISTS (SELECT 1 FROM "db"."raw"."orders" AS t WHERE t."id" = s."_headrace_base_0" AND t."region" = s."_headrace_base_1" AND t."_headrace_valid_to" IS NULL);

DELETE FROM "temp"."main"."stage_x" AS s
WHERE s."_headrace_absent" IS NOT NULL AND s."_headrace_operation" <> 'delete'
	AND NOT EXISTS (SELECT 1 FROM "db"."raw"."orders" AS t WHERE t."id" = s."_headrace_base_0" AND t."region" = s."_headrace_base_1" AND t."_headrace_valid_to" IS NULL);

UPDATE "temp"."main"."stage_x" AS s SET
	"price" = CASE WHEN substr(s."_headrace_absent", 3, 1) = '1' THEN t."price" ELSE s."price" END
FROM "db"."raw"."orders" AS t
WHERE s."_headrace_absent" IS NOT NULL AND s."_headrace_operation" <> 'delete'
	AND t."id" = s."_headrace_base_0" AND t."region" = s."_headrace_base_1" AND t."_headrace_valid_to" IS NULL;

UPDATE "db"."raw"."orders" AS t SET "_headrace_valid_to" = s._headrace_at
FROM (
	SELECT "id", "region", "_headrace_valid_from" AS _headrace_at,
		row_number() OVER (PARTITION BY "id", "region" ORDER BY rowid) AS _headrace_place
	FROM "temp"."main"."stage_x"
) AS s
WHERE s._headrace_place = 1 AND t."id" = s."id" AND t."region" = s."region" AND t."_headrace_valid_to" IS NULL;

INSERT INTO "db"."raw"."orders" ("id", "region", "price", "rowid", "_headrace_valid_from", "_headrace_operation", "_headrace_position", "_headrace_valid_to")
SELECT s."id", s."region", s."price", s."_headrace_rowid", s."_headrace_valid_from", s."_headrace_operation", s."_headrace_position", n._headrace_next_at
FROM "temp"."main"."stage_x" AS s JOIN (
	SELECT rowid AS _headrace_place,
		lead("_headrace_valid_from") OVER (PARTITION BY "id", "region" ORDER BY rowid) AS _headrace_next_at
	FROM "temp"."main"."stage_x"
) AS n ON s.rowid = n._headrace_place
WHERE s."_headrace_operation" <> 'delete';
