DELETE FROM "db"."raw"."orders";

SELECT DISTINCT s."_headrace_absent" AS mask FROM "temp"."main"."stage_x" AS s
WHERE s."_headrace_absent" IS NOT NULL AND NOT coalesce(s."_headrace_deleted", FALSE);

SELECT count(*) AS missing FROM "temp"."main"."stage_x" AS s
WHERE s."_headrace_absent" IS NOT NULL AND NOT coalesce(s."_headrace_deleted", FALSE)
	AND NOT EXISTS (SELECT 1 FROM "db"."raw"."orders" AS t WHERE t."id" = s."_headrace_base_0" AND t."region" = s."_headrace_base_1");

DELETE FROM "temp"."main"."stage_x" AS s
WHERE s."_headrace_absent" IS NOT NULL AND NOT coalesce(s."_headrace_deleted", FALSE)
	AND NOT EXISTS (SELECT 1 FROM "db"."raw"."orders" AS t WHERE t."id" = s."_headrace_base_0" AND t."region" = s."_headrace_base_1");

UPDATE "temp"."main"."stage_x" AS s SET
	"share" = CASE WHEN substr(s."_headrace_absent", 4, 1) = '1' THEN t."share" ELSE s."share" END,
	"_headrace_rowid" = CASE WHEN substr(s."_headrace_absent", 6, 1) = '1' THEN t."rowid" ELSE s."_headrace_rowid" END
FROM "db"."raw"."orders" AS t
WHERE s."_headrace_absent" IS NOT NULL AND NOT coalesce(s."_headrace_deleted", FALSE)
	AND t."id" = s."_headrace_base_0" AND t."region" = s."_headrace_base_1";
