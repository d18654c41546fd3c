DELETE FROM "temp"."main"."stage_x" AS s USING "db"."raw"."orders" AS t
WHERE t."id" = s."id" AND t."region" = s."region";
