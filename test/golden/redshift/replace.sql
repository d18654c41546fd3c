-- DELETE, since TRUNCATE commits the transaction: https://docs.aws.amazon.com/redshift/latest/dg/r_TRUNCATE.html
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

SELECT count(*) AS n FROM "raw"."t";

DELETE FROM "raw"."t";

INSERT INTO "raw"."t" ("id", "na""me", "price", "share", "doc")
SELECT _headrace_s."id", _headrace_s."na""me", CAST(_headrace_s."price" AS NUMERIC(10,2)), _headrace_s."share", JSON_PARSE(_headrace_s."doc") FROM "_headrace_stage" AS _headrace_s;

UPDATE _headrace.positions SET seq = seq + 1, position = '{"at":"2024-01-01 00:00:00.000002","kind":"full"}', load_id = 'b9136732a86c5af885b09c50bf', schema_version = '1', committed_at = SYSDATE
WHERE pipeline = 'conformance' AND stream = 't' AND epoch = 1 AND seq = 1 AND position = '{"at":"2024-01-01 00:00:00.000001","kind":"full"}';

INSERT INTO _headrace.loads (load_id, pipeline, table_name, from_position, to_position, rows_inserted, rows_updated, rows_deleted, committed_at)
VALUES ('b9136732a86c5af885b09c50bf', 'conformance', 'raw.t', '{"at":"2024-01-01 00:00:00.000001","kind":"full"}', '{"at":"2024-01-01 00:00:00.000002","kind":"full"}', 1, 0, 2, SYSDATE);

COMMIT;

ANALYZE "raw"."t";
