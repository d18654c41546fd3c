-- A temporary table is the session's own: https://docs.aws.amazon.com/redshift/latest/dg/r_CREATE_TABLE_NEW.html
-- COPY of Parquet takes MANIFEST and STATUPDATE, no COMPUPDATE, REGION or MAXERROR: https://docs.aws.amazon.com/redshift/latest/dg/copy-usage_notes-copy-from-columnar.html
-- LOCK is the first statement, so that the position is read fresh: https://docs.aws.amazon.com/redshift/latest/dg/r_LOCK.html
-- DELETE … USING and INSERT in one transaction: https://docs.aws.amazon.com/redshift/latest/dg/t_updating-inserting-using-staging-tables-.html
-- No ON CONFLICT, RETURNING or NULLS LAST: https://docs.aws.amazon.com/redshift/latest/dg/c_unsupported-postgresql-features.html
-- Trailing blanks do not count in comparisons, so lengths are compared: https://docs.aws.amazon.com/redshift/latest/dg/r_Character_types.html
-- ANALYZE after the commit: https://docs.aws.amazon.com/redshift/latest/dg/r_ANALYZE.html
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

DELETE FROM "_headrace_stage" WHERE "_headrace_row" IN (
	SELECT row_identifier FROM (
		SELECT "_headrace_row" AS row_identifier, row_number() OVER (PARTITION BY "id" ORDER BY CASE WHEN "share" IS NULL THEN 1 ELSE 0 END, "share" DESC, "_headrace_row" DESC) AS place
		FROM "_headrace_stage"
	) AS places WHERE place > 1
);

SELECT count(*) AS known, coalesce(sum(n), 0) AS known_rows
FROM (
	SELECT count(*) AS n FROM "raw"."t" JOIN "_headrace_stage" AS _headrace_s ON "t"."id" = _headrace_s."id"
	GROUP BY _headrace_s."_headrace_row"
) AS counted;

DELETE FROM "_headrace_stage" WHERE "_headrace_row" IN (
	SELECT _headrace_s."_headrace_row" FROM "_headrace_stage" AS _headrace_s JOIN "raw"."t" ON "t"."id" = _headrace_s."id"
	AND (("t"."na""me" = _headrace_s."na""me" AND octet_length("t"."na""me") = octet_length(_headrace_s."na""me")) OR ("t"."na""me" IS NULL AND _headrace_s."na""me" IS NULL))
	AND (("t"."price" = CAST(_headrace_s."price" AS NUMERIC(10,2))) OR ("t"."price" IS NULL AND CAST(_headrace_s."price" AS NUMERIC(10,2)) IS NULL))
	AND (("t"."share" = _headrace_s."share" AND CAST("t"."share" AS VARCHAR) = CAST(_headrace_s."share" AS VARCHAR)) OR ("t"."share" IS NULL AND _headrace_s."share" IS NULL))
	AND ((json_serialize_to_varbyte("t"."doc") = json_serialize_to_varbyte(JSON_PARSE(_headrace_s."doc"))) OR ("t"."doc" IS NULL AND JSON_PARSE(_headrace_s."doc") IS NULL))
);

INSERT INTO "raw"."t" ("id", "na""me", "price", "share", "doc")
SELECT _headrace_s."id", _headrace_s."na""me", CAST(_headrace_s."price" AS NUMERIC(10,2)), _headrace_s."share", JSON_PARSE(_headrace_s."doc") FROM "_headrace_stage" AS _headrace_s;

UPDATE _headrace.positions SET seq = seq + 1, position = '{"at":"2024-01-01 00:00:00.000002","kind":"full"}', load_id = 'b9136732a86c5af885b09c50bf', schema_version = '1', committed_at = SYSDATE
WHERE pipeline = 'conformance' AND stream = 't' AND epoch = 1 AND seq = 1 AND position = '{"at":"2024-01-01 00:00:00.000001","kind":"full"}';

INSERT INTO _headrace.loads (load_id, pipeline, table_name, from_position, to_position, rows_inserted, rows_updated, rows_deleted, committed_at)
VALUES ('b9136732a86c5af885b09c50bf', 'conformance', 'raw.t', '{"at":"2024-01-01 00:00:00.000001","kind":"full"}', '{"at":"2024-01-01 00:00:00.000002","kind":"full"}', 1, 0, 0, SYSDATE);

COMMIT;

ANALYZE "raw"."t";
