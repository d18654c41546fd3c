BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;

SAVEPOINT headrace;

LOCK TABLE "raw"."t" IN ACCESS EXCLUSIVE MODE;

ALTER TABLE "raw"."t" RENAME COLUMN "old" TO "fresh";

ALTER TABLE "raw"."t" ALTER COLUMN "id" SET DATA TYPE bigint;

ALTER TABLE "raw"."t" ALTER COLUMN "count" SET DATA TYPE bigint;

ALTER TABLE "raw"."t" ADD COLUMN "day" date DEFAULT '2024-01-01';

ALTER TABLE "raw"."t" ALTER COLUMN "day" SET NOT NULL;

RELEASE SAVEPOINT headrace;

COMMIT;

BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;

CREATE TEMPORARY TABLE "pg_temp"."_headrace_stage" (
	"id" bigint,
	"count" bigint,
	"fresh" text,
	"day" date,
	"_headrace_row" bigint
) ON COMMIT DROP;

COPY "pg_temp"."_headrace_stage" ("id", "count", "fresh", "day", "_headrace_row") FROM STDIN WITH (FORMAT binary, FREEZE);

SAVEPOINT headrace;

WITH written AS (
INSERT INTO "raw"."t" AS t ("id", "count", "fresh", "day") OVERRIDING SYSTEM VALUE
SELECT "id", "count", "fresh", "day" FROM "pg_temp"."_headrace_stage"
ON CONFLICT ("id") DO UPDATE SET "count" = EXCLUDED."count", "fresh" = EXCLUDED."fresh", "day" = EXCLUDED."day"
	WHERE t."count" IS DISTINCT FROM EXCLUDED."count"
	OR t."fresh" IS DISTINCT FROM EXCLUDED."fresh"
	OR t."day" IS DISTINCT FROM EXCLUDED."day"
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
