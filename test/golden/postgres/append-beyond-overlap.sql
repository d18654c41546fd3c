BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;

CREATE TEMPORARY TABLE "pg_temp"."_headrace_stage" (
	"id" bigint,
	"na""me" text,
	"price" numeric(10,2),
	"share" double precision,
	"_headrace_row" bigint
) ON COMMIT DROP;

COPY "pg_temp"."_headrace_stage" ("id", "na""me", "price", "share", "_headrace_row") FROM STDIN WITH (FORMAT binary, FREEZE);

INSERT INTO "raw"."t" ("id", "na""me", "price", "share") OVERRIDING SYSTEM VALUE
SELECT "id", "na""me", "price", "share" FROM "pg_temp"."_headrace_stage" WHERE "_headrace_row" IN (
	SELECT incoming FROM (
		SELECT incoming, count(*) FILTER (WHERE incoming IS NULL) OVER (PARTITION BY c0, c1, c2, c3) AS there,
			row_number() OVER (PARTITION BY c0, c1, c2, c3, incoming IS NULL) AS place
		FROM (
			SELECT "_headrace_row" AS incoming, "id" AS c0, "na""me" AS c1, "price" AS c2, pg_catalog.float8send("share") AS c3 FROM "pg_temp"."_headrace_stage"
			UNION ALL
			SELECT NULL, "id" AS c0, "na""me" AS c1, "price" AS c2, pg_catalog.float8send("share") AS c3 FROM "raw"."t" WHERE "id" >= CAST('1' AS bigint)
		) AS both_sides
	) AS numbered WHERE incoming IS NOT NULL AND place > there
) ORDER BY "_headrace_row";

UPDATE _headrace.positions SET seq = seq + 1, position = $1, load_id = $2, schema_version = $3,
		 committed_at = pg_catalog.clock_timestamp()
		 WHERE pipeline = $4 AND stream = $5 AND epoch = $6 AND seq = $7 AND position IS NOT DISTINCT FROM $8;

INSERT INTO _headrace.loads SELECT id, $2, table_name, $4, $5, inserted, updated, deleted, pg_catalog.clock_timestamp()
		 FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($3::text[]), pg_catalog.unnest($6::bigint[]),
		   pg_catalog.unnest($7::bigint[]), pg_catalog.unnest($8::bigint[]))
		   AS one (id, table_name, inserted, updated, deleted);

COMMIT;
