BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;

CREATE TEMPORARY TABLE "pg_temp"."_headrace_stage" (
	"id" bigint,
	"na""me" text,
	"price" numeric(10,2),
	"share" double precision,
	"_headrace_row" bigint
) ON COMMIT DROP;

COPY "pg_temp"."_headrace_stage" ("id", "na""me", "price", "share", "_headrace_row") FROM STDIN WITH (FORMAT binary, FREEZE);

ANALYZE "pg_temp"."_headrace_stage";

DELETE FROM "raw"."t" AS t
WHERE NOT EXISTS (SELECT FROM "pg_temp"."_headrace_stage" AS s WHERE t."id" = s."id");

SAVEPOINT headrace;

WITH written AS (
INSERT INTO "raw"."t" AS t ("id", "na""me", "price", "share") OVERRIDING SYSTEM VALUE
SELECT "id", "na""me", "price", "share" FROM "pg_temp"."_headrace_stage"
ON CONFLICT ("id") DO UPDATE SET "na""me" = EXCLUDED."na""me", "price" = EXCLUDED."price", "share" = EXCLUDED."share"
	WHERE t."na""me" IS DISTINCT FROM EXCLUDED."na""me"
	OR t."price" IS DISTINCT FROM EXCLUDED."price"
	OR pg_catalog.float8send(t."share") IS DISTINCT FROM pg_catalog.float8send(EXCLUDED."share")
RETURNING t.xmax = 0 AS is_new)
SELECT count(*) FILTER (WHERE is_new) AS inserted, count(*) FILTER (WHERE NOT is_new) AS updated FROM written;

RELEASE SAVEPOINT headrace;

UPDATE _headrace.positions SET seq = seq + 1, position = $1, load_id = $2, schema_version = $3,
		 committed_at = pg_catalog.clock_timestamp()
		 WHERE pipeline = $4 AND stream = $5 AND epoch = $6 AND seq = $7 AND position IS NOT DISTINCT FROM $8;

INSERT INTO _headrace.loads SELECT id, $2, table_name, $4, $5, inserted, updated, deleted, pg_catalog.clock_timestamp()
		 FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($3::text[]), pg_catalog.unnest($6::bigint[]),
		   pg_catalog.unnest($7::bigint[]), pg_catalog.unnest($8::bigint[]))
		   AS one (id, table_name, inserted, updated, deleted);

COMMIT;
