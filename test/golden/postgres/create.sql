BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;

CREATE SCHEMA _headrace;

CREATE TABLE IF NOT EXISTS _headrace.positions (
				pipeline text NOT NULL, stream text NOT NULL, epoch bigint NOT NULL, seq bigint NOT NULL,
				position text, load_id text, schema_version text, committed_at timestamptz, PRIMARY KEY (pipeline, stream));

CREATE TABLE IF NOT EXISTS _headrace.loads (
				load_id text PRIMARY KEY, pipeline text NOT NULL, table_name text NOT NULL, from_position text,
				to_position text NOT NULL, rows_inserted bigint NOT NULL, rows_updated bigint NOT NULL,
				rows_deleted bigint NOT NULL, committed_at timestamptz NOT NULL);

CREATE TABLE IF NOT EXISTS _headrace.schemas (
				pipeline text NOT NULL, stream text NOT NULL, schema_version text NOT NULL, columns_json text NOT NULL,
				committed_at timestamptz NOT NULL, PRIMARY KEY (pipeline, stream, committed_at));

COMMIT;

INSERT INTO _headrace.positions AS p (pipeline, stream, epoch, seq)
		 SELECT $1, wanted.stream, 1, 0 FROM (SELECT DISTINCT pg_catalog.unnest($2::text[]) AS stream) AS wanted
		 ORDER BY wanted.stream COLLATE "C"
		 ON CONFLICT (pipeline, stream) DO UPDATE SET epoch = p.epoch + 1 RETURNING stream, epoch, seq, position, load_id, schema_version, pg_catalog.to_char(committed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');

BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;

CREATE SCHEMA "raw";

COMMIT;

BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;

CREATE TABLE "raw"."t" (
	"id" bigint NOT NULL,
	"na""me" text,
	"price" numeric(10,2),
	"share" double precision
);

COPY "raw"."t" ("id", "na""me", "price", "share") FROM STDIN WITH (FORMAT binary, FREEZE);

SAVEPOINT headrace;

ALTER TABLE "raw"."t" ADD PRIMARY KEY ("id");

RELEASE SAVEPOINT headrace;

UPDATE _headrace.positions SET seq = seq + 1, position = $1, load_id = $2, schema_version = $3,
		 committed_at = pg_catalog.clock_timestamp()
		 WHERE pipeline = $4 AND stream = $5 AND epoch = $6 AND seq = $7 AND position IS NOT DISTINCT FROM $8;

INSERT INTO _headrace.loads SELECT id, $2, table_name, $4, $5, inserted, updated, deleted, pg_catalog.clock_timestamp()
		 FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($3::text[]), pg_catalog.unnest($6::bigint[]),
		   pg_catalog.unnest($7::bigint[]), pg_catalog.unnest($8::bigint[]))
		   AS one (id, table_name, inserted, updated, deleted);

COMMIT;
