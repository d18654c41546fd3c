-- Everything that makes a table or copies files comes before BEGIN; COPY then holds no lock: https://docs.aws.amazon.com/redshift/latest/dg/r_COPY.html
-- LOCK is the first statement, so that the position is read fresh: https://docs.aws.amazon.com/redshift/latest/dg/r_LOCK.html
-- DELETE … USING and INSERT in one transaction, of one row a key: https://docs.aws.amazon.com/redshift/latest/dg/t_updating-inserting-using-staging-tables-.html
CREATE TEMPORARY TABLE "_headrace_stage_0" (
	"id" BIGINT,
	"name" VARCHAR(65535),
	"doc" VARCHAR(65535),
	"_headrace_deleted" BOOLEAN,
	"_headrace_row" BIGINT
)
DISTSTYLE KEY DISTKEY ("id");

COPY "_headrace_stage_0"
FROM 's3://lake/staging/p/t/files/EPOCH-LOAD/copy.manifest'
IAM_ROLE 'arn:aws:iam::000000000000:role/copy'
FORMAT AS PARQUET
MANIFEST STATUPDATE OFF;

SELECT count(*) AS staged FROM "_headrace_stage_0";

BEGIN;

LOCK _headrace.positions;

SELECT count(*) AS staged FROM "_headrace_stage_0";

SELECT coalesce(sum(n), 0) AS row_count, count(*) AS keys, coalesce(sum(CASE WHEN is_null = 1 THEN n ELSE 0 END), 0) AS nulls
FROM (
	SELECT count(*) AS n, max(CASE WHEN "id" IS NULL THEN 1 ELSE 0 END) AS is_null
	FROM "_headrace_stage_0" GROUP BY "id"
) AS grouped;

DELETE FROM "_headrace_stage_0" WHERE "_headrace_row" IN (
	SELECT row_identifier FROM (
		SELECT "_headrace_row" AS row_identifier, row_number() OVER (PARTITION BY "id" ORDER BY "_headrace_row" DESC) AS place
		FROM "_headrace_stage_0"
	) AS places WHERE place > 1
);

SELECT count(*) AS flagged FROM "_headrace_stage_0" WHERE "_headrace_deleted";

DELETE FROM "raw"."t" USING "_headrace_stage_0" AS _headrace_s
WHERE "t"."id" = _headrace_s."id" AND coalesce(_headrace_s."_headrace_deleted", FALSE);

DELETE FROM "_headrace_stage_0" WHERE coalesce("_headrace_deleted", FALSE);

DELETE FROM "raw"."t" USING "_headrace_stage_0" AS _headrace_s
WHERE "t"."id" = _headrace_s."id";

INSERT INTO "raw"."t" ("id", "name", "doc")
SELECT _headrace_s."id", _headrace_s."name", JSON_PARSE(_headrace_s."doc") FROM "_headrace_stage_0" AS _headrace_s;

UPDATE _headrace.positions SET seq = seq + 1, position = '{"at":"log:2","kind":"changes","tables":{}}', load_id = '8b28f1f41d6623222dd4d1a5bf', schema_version = '1', committed_at = SYSDATE
WHERE pipeline = 'conformance' AND stream = 'a change log' AND epoch = 1 AND seq = 1 AND position = '{"at":"log:1","kind":"changes","tables":{}}';

INSERT INTO _headrace.loads (load_id, pipeline, table_name, from_position, to_position, rows_inserted, rows_updated, rows_deleted, committed_at)
VALUES ('8b28f1f41d6623222dd4d1a5bf', 'conformance', 'a change log', '{"at":"log:1","kind":"changes","tables":{}}', '{"at":"log:2","kind":"changes","tables":{}}', 0, 0, 0, SYSDATE),
	('8b28f1f41d6623222dd4d1a5bf-0', 'conformance', 'raw.t', '{"at":"log:1","kind":"changes","tables":{}}', '{"at":"log:2","kind":"changes","tables":{}}', 1, 0, 1, SYSDATE);

COMMIT;

ANALYZE "raw"."t";
