-- Rows that do not tell all columns are joined with the table's before any of those changes: https://docs.aws.amazon.com/redshift/latest/dg/r_Join_examples.html
-- A SUPER stays one: it is not made text and parsed again: https://docs.aws.amazon.com/redshift/latest/dg/r_SUPER_type.html
CREATE TEMPORARY TABLE "_headrace_stage_0" (
	"id" BIGINT,
	"name" VARCHAR(65535),
	"doc" VARCHAR(65535),
	"_headrace_deleted" BOOLEAN,
	"_headrace_absent" VARCHAR(65535),
	"_headrace_base_0" BIGINT,
	"_headrace_row" BIGINT
)
DISTSTYLE KEY DISTKEY ("id");

COPY "_headrace_stage_0"
FROM 's3://lake/staging/p/t/files/EPOCH-LOAD/copy.manifest'
IAM_ROLE 'arn:aws:iam::000000000000:role/copy'
FORMAT AS PARQUET
MANIFEST STATUPDATE OFF;

SELECT count(*) AS staged FROM "_headrace_stage_0";

CREATE TEMPORARY TABLE "_headrace_whole_0" (
	"id" BIGINT,
	"name" VARCHAR(65535),
	"doc" SUPER,
	"_headrace_deleted" BOOLEAN,
	"_headrace_is_whole" BOOLEAN,
	"_headrace_row" BIGINT
)
DISTSTYLE KEY DISTKEY ("id");

BEGIN;

LOCK _headrace.positions;

SELECT count(*) AS staged FROM "_headrace_stage_0";

SELECT coalesce(sum(n), 0) AS row_count, count(*) AS keys, coalesce(sum(CASE WHEN is_null = 1 THEN n ELSE 0 END), 0) AS nulls
FROM (
	SELECT count(*) AS n, max(CASE WHEN "id" IS NULL THEN 1 ELSE 0 END) AS is_null
	FROM "_headrace_stage_0" GROUP BY "id"
) AS grouped;

INSERT INTO "_headrace_whole_0" ("id", "name", "doc", "_headrace_deleted", "_headrace_row", "_headrace_is_whole")
SELECT _headrace_s."id",
	CASE WHEN substring(_headrace_s."_headrace_absent", 2, 1) = '1' THEN "t"."name" ELSE _headrace_s."name" END,
	CASE WHEN substring(_headrace_s."_headrace_absent", 3, 1) = '1' THEN "t"."doc" ELSE JSON_PARSE(_headrace_s."doc") END,
	_headrace_s."_headrace_deleted",
	_headrace_s."_headrace_row",
	NOT (_headrace_s."_headrace_absent" IS NOT NULL AND NOT coalesce(_headrace_s."_headrace_deleted", FALSE) AND "t"."id" IS NULL)
FROM "_headrace_stage_0" AS _headrace_s LEFT JOIN "raw"."t"
	ON _headrace_s."_headrace_absent" IS NOT NULL AND NOT coalesce(_headrace_s."_headrace_deleted", FALSE)
	AND "t"."id" = _headrace_s."_headrace_base_0";

SELECT count(*) AS missing FROM "_headrace_whole_0" WHERE NOT "_headrace_is_whole";

SELECT count(*) AS flagged FROM "_headrace_whole_0" WHERE "_headrace_deleted";

DELETE FROM "raw"."t" USING "_headrace_whole_0" AS _headrace_s
WHERE "t"."id" = _headrace_s."id" AND coalesce(_headrace_s."_headrace_deleted", FALSE);

DELETE FROM "_headrace_whole_0" WHERE coalesce("_headrace_deleted", FALSE);

DELETE FROM "raw"."t" USING "_headrace_whole_0" AS _headrace_s
WHERE "t"."id" = _headrace_s."id";

INSERT INTO "raw"."t" ("id", "name", "doc")
SELECT _headrace_s."id", _headrace_s."name", _headrace_s."doc" FROM "_headrace_whole_0" AS _headrace_s;

UPDATE _headrace.positions SET seq = seq + 1, position = '{"at":"log:2","kind":"changes","tables":{}}', load_id = '8b28f1f41d6623222dd4d1a5bf', schema_version = '1', committed_at = SYSDATE
WHERE pipeline = 'conformance' AND stream = 'a change log' AND epoch = 1 AND seq = 1 AND position = '{"at":"log:1","kind":"changes","tables":{}}';

INSERT INTO _headrace.loads (load_id, pipeline, table_name, from_position, to_position, rows_inserted, rows_updated, rows_deleted, committed_at)
VALUES ('8b28f1f41d6623222dd4d1a5bf', 'conformance', 'a change log', '{"at":"log:1","kind":"changes","tables":{}}', '{"at":"log:2","kind":"changes","tables":{}}', 0, 0, 0, SYSDATE),
	('8b28f1f41d6623222dd4d1a5bf-0', 'conformance', 'raw.t', '{"at":"log:1","kind":"changes","tables":{}}', '{"at":"log:2","kind":"changes","tables":{}}', 1, 0, 1, SYSDATE);

COMMIT;

ANALYZE "raw"."t";
