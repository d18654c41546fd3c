INSERT INTO _headrace.positions AS p (pipeline, stream, epoch, seq)
		 SELECT $1, wanted.stream, 1, 0 FROM (SELECT DISTINCT pg_catalog.unnest($2::text[]) AS stream) AS wanted
		 ORDER BY wanted.stream COLLATE "C"
		 ON CONFLICT (pipeline, stream) DO UPDATE SET epoch = p.epoch + 1 RETURNING stream, epoch, seq, position, load_id, schema_version, pg_catalog.to_char(committed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');

BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;

CREATE TEMPORARY TABLE "pg_temp"."_headrace_stage_0" (
	"id" bigint,
	"na""me" text,
	"price" numeric(10,2),
	"share" double precision,
	"_headrace_deleted" boolean,
	"_headrace_absent" text,
	"_headrace_base_0" bigint,
	"_headrace_row" bigint
) ON COMMIT DROP;

COPY "pg_temp"."_headrace_stage_0" ("id", "na""me", "price", "share", "_headrace_deleted", "_headrace_absent", "_headrace_base_0", "_headrace_row") FROM STDIN WITH (FORMAT binary, FREEZE);

DELETE FROM "pg_temp"."_headrace_stage_0" WHERE _headrace_row IN (
	SELECT row_identifier FROM (
		SELECT _headrace_row AS row_identifier, row_number() OVER (PARTITION BY "id" ORDER BY _headrace_row DESC) AS place
		FROM "pg_temp"."_headrace_stage_0"
	) AS places WHERE place > 1
);

ANALYZE "pg_temp"."_headrace_stage_0" ("_headrace_absent", "_headrace_base_0");

UPDATE "pg_temp"."_headrace_stage_0" AS s SET
	"na""me" = CASE WHEN substr(s."_headrace_absent", 2, 1) = '1' THEN t."na""me" ELSE s."na""me" END
FROM "raw"."t" AS t
WHERE s."_headrace_absent" IS NOT NULL AND NOT coalesce(s."_headrace_deleted", FALSE)
	AND t."id" = s."_headrace_base_0";

ANALYZE "pg_temp"."_headrace_stage_0" ("id", "_headrace_deleted");

DELETE FROM "raw"."t" AS t USING "pg_temp"."_headrace_stage_0" AS s
WHERE t."id" = s."id" AND s."_headrace_deleted";

DELETE FROM "pg_temp"."_headrace_stage_0" WHERE coalesce("_headrace_deleted", FALSE);

SAVEPOINT headrace;

WITH written AS (
INSERT INTO "raw"."t" AS t ("id", "na""me", "price", "share") OVERRIDING SYSTEM VALUE
SELECT "id", "na""me", "price", "share" FROM "pg_temp"."_headrace_stage_0"
ON CONFLICT ("id") DO UPDATE SET "na""me" = EXCLUDED."na""me", "price" = EXCLUDED."price", "share" = EXCLUDED."share"
	WHERE t."na""me" IS DISTINCT FROM EXCLUDED."na""me"
	OR t."price" IS DISTINCT FROM EXCLUDED."price"
	OR pg_catalog.float8send(t."share") IS DISTINCT FROM pg_catalog.float8send(EXCLUDED."share")
RETURNING t.xmax = 0 AS is_new)
SELECT count(*) FILTER (WHERE is_new) AS inserted, count(*) FILTER (WHERE NOT is_new) AS updated FROM written;

RELEASE SAVEPOINT headrace;

CREATE TABLE "raw"."versions" (
	"id" bigint NOT NULL,
	"name" text,
	"_headrace_valid_from" timestamptz,
	"_headrace_valid_to" timestamptz,
	"_headrace_operation" text,
	"_headrace_position" text
);

SAVEPOINT headrace;

CREATE UNIQUE INDEX ON "raw"."versions" ("id") WHERE "_headrace_valid_to" IS NULL;

RELEASE SAVEPOINT headrace;

UPDATE "raw"."versions" SET "_headrace_valid_to" = CAST('2024-01-01 00:00:00+00' AS TIMESTAMP WITH TIME ZONE) WHERE "_headrace_valid_to" IS NULL;

CREATE TEMPORARY TABLE "pg_temp"."_headrace_stage_1" (
	"id" bigint,
	"name" text,
	"_headrace_valid_from" timestamp with time zone,
	"_headrace_operation" text,
	"_headrace_position" text,
	"_headrace_row" bigint
) ON COMMIT DROP;

COPY "pg_temp"."_headrace_stage_1" ("id", "name", "_headrace_valid_from", "_headrace_operation", "_headrace_position", "_headrace_row") FROM STDIN WITH (FORMAT binary, FREEZE);

ANALYZE "pg_temp"."_headrace_stage_1" ("id");

UPDATE "raw"."versions" AS t SET "_headrace_valid_to" = s._headrace_at
FROM (
	SELECT "id", "_headrace_valid_from" AS _headrace_at,
		row_number() OVER (PARTITION BY "id" ORDER BY _headrace_row) AS _headrace_place
	FROM "pg_temp"."_headrace_stage_1"
) AS s
WHERE s._headrace_place = 1 AND t."id" = s."id" AND t."_headrace_valid_to" IS NULL;

INSERT INTO "raw"."versions" ("id", "name", "_headrace_valid_from", "_headrace_operation", "_headrace_position", "_headrace_valid_to")
SELECT s."id", s."name", s."_headrace_valid_from", s."_headrace_operation", s."_headrace_position", n._headrace_next_at
FROM "pg_temp"."_headrace_stage_1" AS s JOIN (
	SELECT _headrace_row AS _headrace_place,
		lead("_headrace_valid_from") OVER (PARTITION BY "id" ORDER BY _headrace_row) AS _headrace_next_at
	FROM "pg_temp"."_headrace_stage_1"
) AS n ON s._headrace_row = n._headrace_place
WHERE s."_headrace_operation" <> 'delete';

UPDATE _headrace.positions SET seq = seq + 1, position = $1, load_id = $2, schema_version = $3,
		 committed_at = pg_catalog.clock_timestamp()
		 WHERE pipeline = $4 AND stream = $5 AND epoch = $6 AND seq = $7 AND position IS NOT DISTINCT FROM $8;

INSERT INTO _headrace.loads SELECT id, $2, table_name, $4, $5, inserted, updated, deleted, pg_catalog.clock_timestamp()
		 FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($3::text[]), pg_catalog.unnest($6::bigint[]),
		   pg_catalog.unnest($7::bigint[]), pg_catalog.unnest($8::bigint[]))
		   AS one (id, table_name, inserted, updated, deleted);

COMMIT;
