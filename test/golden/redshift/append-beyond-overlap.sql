-- There is no EXCEPT ALL: https://docs.aws.amazon.com/redshift/latest/dg/r_UNION.html
-- Window functions: https://docs.aws.amazon.com/redshift/latest/dg/c_Window_functions.html
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

INSERT INTO "raw"."t" ("id", "na""me", "price", "share", "doc")
SELECT _headrace_s."id", _headrace_s."na""me", CAST(_headrace_s."price" AS NUMERIC(10,2)), _headrace_s."share", JSON_PARSE(_headrace_s."doc") FROM "_headrace_stage" AS _headrace_s
WHERE _headrace_s."_headrace_row" IN (
	SELECT incoming FROM (
		SELECT incoming, sum(CASE WHEN incoming IS NULL THEN 1 ELSE 0 END) OVER (PARTITION BY c0_0, c1_0, c1_1, c2_0, c3_0, c3_1, c4_0) AS there,
			row_number() OVER (PARTITION BY c0_0, c1_0, c1_1, c2_0, c3_0, c3_1, c4_0, CASE WHEN incoming IS NULL THEN 1 ELSE 0 END ORDER BY incoming) AS place
		FROM (
			SELECT "_headrace_row" AS incoming, "id" AS c0_0, "na""me" AS c1_0, octet_length("na""me") AS c1_1, CAST("price" AS NUMERIC(10,2)) AS c2_0, "share" AS c3_0, CAST("share" AS VARCHAR) AS c3_1, json_serialize_to_varbyte(JSON_PARSE("doc")) AS c4_0 FROM "_headrace_stage"
			UNION ALL
			SELECT CAST(NULL AS BIGINT), "t"."id" AS c0_0, "t"."na""me" AS c1_0, octet_length("t"."na""me") AS c1_1, "t"."price" AS c2_0, "t"."share" AS c3_0, CAST("t"."share" AS VARCHAR) AS c3_1, json_serialize_to_varbyte("t"."doc") AS c4_0 FROM "raw"."t" WHERE "id" >= CAST('1' AS BIGINT)
		) AS both_sides
	) AS numbered WHERE incoming IS NOT NULL AND place > there
);

UPDATE _headrace.positions SET seq = seq + 1, position = '{"at":"2024-01-01 00:00:00.000002","kind":"full"}', load_id = 'b9136732a86c5af885b09c50bf', schema_version = '1', committed_at = SYSDATE
WHERE pipeline = 'conformance' AND stream = 't' AND epoch = 1 AND seq = 1 AND position = '{"at":"2024-01-01 00:00:00.000001","kind":"full"}';

INSERT INTO _headrace.loads (load_id, pipeline, table_name, from_position, to_position, rows_inserted, rows_updated, rows_deleted, committed_at)
VALUES ('b9136732a86c5af885b09c50bf', 'conformance', 'raw.t', '{"at":"2024-01-01 00:00:00.000001","kind":"full"}', '{"at":"2024-01-01 00:00:00.000002","kind":"full"}', 1, 0, 0, SYSDATE);

COMMIT;

ANALYZE "raw"."t";
