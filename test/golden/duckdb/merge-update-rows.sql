DELETE FROM "temp"."main"."stage_x" WHERE rowid IN (
	SELECT row_identifier FROM (
		SELECT rowid AS row_identifier, row_number() OVER (PARTITION BY "id", "region" ORDER BY rowid DESC) AS place
		FROM "temp"."main"."stage_x"
	) AS places WHERE place > 1
);

UPDATE "db"."raw"."orders" AS t SET "price" = s."price", "share" = s."share", "span" = s."span", "rowid" = s."_headrace_rowid"
FROM "temp"."main"."stage_x" AS s WHERE t."id" = s."id" AND t."region" = s."region";

DELETE FROM "temp"."main"."stage_x" AS s USING "db"."raw"."orders" AS t WHERE t."id" = s."id" AND t."region" = s."region";
