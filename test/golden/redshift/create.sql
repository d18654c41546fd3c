-- DISTSTYLE, DISTKEY and COMPOUND SORTKEY: https://docs.aws.amazon.com/redshift/latest/dg/r_CREATE_TABLE_NEW.html
-- No key is declared where none is enforced: https://docs.aws.amazon.com/redshift/latest/dg/t_Defining_constraints.html
-- SYSDATE: https://docs.aws.amazon.com/redshift/latest/dg/r_SYSDATE.html
CREATE SCHEMA IF NOT EXISTS _headrace;

CREATE TABLE IF NOT EXISTS _headrace.positions (
	pipeline VARCHAR(1024) NOT NULL, stream VARCHAR(4096) NOT NULL, epoch BIGINT NOT NULL, seq BIGINT NOT NULL,
	position VARCHAR(65535), load_id VARCHAR(64), schema_version VARCHAR(128), committed_at TIMESTAMP
) DISTSTYLE ALL;

CREATE TABLE IF NOT EXISTS _headrace.loads (
	load_id VARCHAR(64) NOT NULL, pipeline VARCHAR(1024) NOT NULL, table_name VARCHAR(1024) NOT NULL,
	from_position VARCHAR(65535), to_position VARCHAR(65535) NOT NULL,
	rows_inserted BIGINT NOT NULL, rows_updated BIGINT NOT NULL, rows_deleted BIGINT NOT NULL,
	committed_at TIMESTAMP NOT NULL
) SORTKEY (load_id);

CREATE TABLE IF NOT EXISTS _headrace.schemas (
	pipeline VARCHAR(1024) NOT NULL, stream VARCHAR(4096) NOT NULL, version INTEGER NOT NULL, part INTEGER NOT NULL,
	schema_version VARCHAR(128) NOT NULL, columns_json VARCHAR(65535) NOT NULL,
	committed_at TIMESTAMP NOT NULL
);

BEGIN;

LOCK _headrace.positions;

UPDATE _headrace.positions SET epoch = epoch + 1 WHERE pipeline = 'conformance' AND stream IN ('t');

INSERT INTO _headrace.positions (pipeline, stream, epoch, seq) VALUES ('conformance', 't', 1, 0);

COMMIT;

CREATE SCHEMA "raw";

CREATE TEMPORARY TABLE "_headrace_stage" (
	"id" BIGINT,
	"na""me" VARCHAR(65535),
	"price" NUMERIC(38,2),
	"share" DOUBLE PRECISION,
	"doc" VARCHAR(65535),
	"_headrace_row" BIGINT
)
DISTSTYLE KEY DISTKEY ("id");

COPY "_headrace_stage"
FROM 's3://lake/staging/p/t/files/EPOCH-LOAD/copy.manifest'
IAM_ROLE 'arn:aws:iam::000000000000:role/copy'
FORMAT AS PARQUET
MANIFEST STATUPDATE OFF;

SELECT count(*) AS staged FROM "_headrace_stage";

BEGIN;

LOCK _headrace.positions;

SELECT count(*) AS staged FROM "_headrace_stage";

SELECT coalesce(sum(n), 0) AS row_count, count(*) AS keys, coalesce(sum(CASE WHEN is_null = 1 THEN n ELSE 0 END), 0) AS nulls
FROM (
	SELECT count(*) AS n, max(CASE WHEN "id" IS NULL THEN 1 ELSE 0 END) AS is_null
	FROM "_headrace_stage" GROUP BY "id"
) AS grouped;

CREATE TABLE "raw"."t" (
	"id" BIGINT NOT NULL,
	"na""me" VARCHAR(65535),
	"price" NUMERIC(10,2),
	"share" DOUBLE PRECISION,
	"doc" SUPER
)
DISTSTYLE KEY DISTKEY ("id") COMPOUND SORTKEY ("share", "id");

INSERT INTO "raw"."t" ("id", "na""me", "price", "share", "doc")
SELECT _headrace_s."id", _headrace_s."na""me", CAST(_headrace_s."price" AS NUMERIC(10,2)), _headrace_s."share", JSON_PARSE(_headrace_s."doc") FROM "_headrace_stage" AS _headrace_s;

UPDATE _headrace.positions SET seq = seq + 1, position = '{"at":"2024-01-01 00:00:00.000001","kind":"full"}', load_id = '6ff8cbbe52bb840c67077649fd', schema_version = '1', committed_at = SYSDATE
WHERE pipeline = 'conformance' AND stream = 't' AND epoch = 1 AND seq = 0 AND position IS NULL;

INSERT INTO _headrace.loads (load_id, pipeline, table_name, from_position, to_position, rows_inserted, rows_updated, rows_deleted, committed_at)
VALUES ('6ff8cbbe52bb840c67077649fd', 'conformance', 'raw.t', NULL, '{"at":"2024-01-01 00:00:00.000001","kind":"full"}', 1, 0, 0, SYSDATE);

COMMIT;

ANALYZE "raw"."t";
