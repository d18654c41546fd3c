-- queries are found by their tag: https://docs.snowflake.com/en/sql-reference/parameters#query-tag
ALTER SESSION SET QUERY_TAG = '{"app":"headrace","pipeline":"conformance","table":"raw.t"}';

-- https://docs.snowflake.com/en/sql-reference/sql/select
SELECT STREAM, EPOCH, SEQ, POSITION, LOAD_ID, SCHEMA_VERSION, TO_CHAR(COMMITTED_AT, 'YYYY-MM-DD"T"HH24:MI:SS.FF6') || 'Z' FROM "_HEADRACE"."POSITIONS" WHERE PIPELINE = ? ORDER BY STREAM;

-- a transaction whose client is gone stays open, under its name: https://docs.snowflake.com/en/sql-reference/sql/show-transactions
SHOW TRANSACTIONS;

-- needs no warehouse: https://docs.snowflake.com/en/sql-reference/sql/desc-table, https://docs.snowflake.com/en/sql-reference/sql/show-tables
DESCRIBE SCHEMA "RAW";

-- needs no warehouse: https://docs.snowflake.com/en/sql-reference/sql/desc-table, https://docs.snowflake.com/en/sql-reference/sql/show-tables
SHOW TABLES IN SCHEMA "RAW" STARTS WITH '_HEADRACE_NEW_1FA5B3EC3890_';

-- does nothing when it is there: https://docs.snowflake.com/en/sql-reference/sql/create-table
CREATE STAGE IF NOT EXISTS "_HEADRACE"."FILES";

-- as it is, over what an earlier try left: https://docs.snowflake.com/en/sql-reference/sql/put
PUT 'file:///…/part-00000.parquet' @"_HEADRACE"."FILES"/headrace/b9136732a86c5af885b09c50bf/ AUTO_COMPRESS = FALSE OVERWRITE = TRUE;

-- needs no warehouse: https://docs.snowflake.com/en/sql-reference/sql/desc-table, https://docs.snowflake.com/en/sql-reference/sql/show-tables
SHOW TABLES IN SCHEMA "RAW" STARTS WITH 'T';

-- needs no warehouse: https://docs.snowflake.com/en/sql-reference/sql/desc-table, https://docs.snowflake.com/en/sql-reference/sql/show-tables
DESCRIBE TABLE "RAW"."T";

-- https://docs.snowflake.com/en/sql-reference/sql/alter-table-column
ALTER TABLE "RAW"."T" ADD COLUMN "GONE" BOOLEAN;

-- needs no warehouse: https://docs.snowflake.com/en/sql-reference/sql/desc-table, https://docs.snowflake.com/en/sql-reference/sql/show-tables
SHOW TABLES IN SCHEMA "RAW" STARTS WITH 'T';

-- needs no warehouse: https://docs.snowflake.com/en/sql-reference/sql/desc-table, https://docs.snowflake.com/en/sql-reference/sql/show-tables
DESCRIBE TABLE "RAW"."T";

-- https://docs.snowflake.com/en/sql-reference/sql/drop-table
DROP TABLE IF EXISTS "_HEADRACE"."STAGE_b9136732a86c5af885b09c50bf";

-- DDL commits what is open, so before BEGIN: https://docs.snowflake.com/en/sql-reference/transactions#ddl
CREATE TEMPORARY TABLE "_HEADRACE"."STAGE_b9136732a86c5af885b09c50bf" (
	"ID" NUMBER(19,0),
	"NAME" VARCHAR,
	"AT" TIMESTAMP_NTZ(6),
	"GONE" BOOLEAN,
	"_headrace_row" NUMBER(19,0) NOT NULL
);

-- https://docs.snowflake.com/en/sql-reference/sql/commit
ROLLBACK;

-- a transaction can have a name: https://docs.snowflake.com/en/sql-reference/sql/begin
BEGIN TRANSACTION NAME HEADRACE_XXXX;

-- named files, loaded whatever the load metadata says, all or none: https://docs.snowflake.com/en/sql-reference/sql/copy-into-table
COPY INTO "_HEADRACE"."STAGE_b9136732a86c5af885b09c50bf" ("ID", "NAME", "AT", "GONE", "_headrace_row")
FROM (SELECT CAST($1:"id" AS NUMBER(19,0)), CAST($1:"name" AS VARCHAR), CAST(CAST($1:"at" AS VARCHAR) AS TIMESTAMP_NTZ(6)), CAST($1:"gone" AS BOOLEAN), CAST($1:"_headrace_row" AS NUMBER(19,0)) FROM @"_HEADRACE"."FILES"/headrace/b9136732a86c5af885b09c50bf/)
FILES = ('part-00000.parquet')
FILE_FORMAT = (TYPE = PARQUET BINARY_AS_TEXT = FALSE TRIM_SPACE = FALSE NULL_IF = ())
FORCE = TRUE ON_ERROR = ABORT_STATEMENT;

-- https://docs.snowflake.com/en/sql-reference/sql/select
SELECT (SELECT count(*) FROM "_HEADRACE"."STAGE_b9136732a86c5af885b09c50bf") AS ROW_COUNT,
	(SELECT count(*) FROM (SELECT DISTINCT "ID" FROM "_HEADRACE"."STAGE_b9136732a86c5af885b09c50bf") AS K) AS KEYS,
	(SELECT count(*) FROM "_HEADRACE"."STAGE_b9136732a86c5af885b09c50bf" WHERE "ID" IS NULL) AS NULLS;

-- DELETE, for TRUNCATE would commit: https://docs.snowflake.com/en/sql-reference/sql/delete
DELETE FROM "RAW"."T" WHERE "AT" >= CAST('2024-01-01 00:00:00' AS TIMESTAMP_NTZ(6)) AND "AT" < CAST('2024-01-02 00:00:00' AS TIMESTAMP_NTZ(6));

-- one source row a key, so that it is deterministic: https://docs.snowflake.com/en/sql-reference/sql/merge#duplicate-join-behavior
MERGE INTO "RAW"."T" AS t USING (SELECT * FROM "_HEADRACE"."STAGE_b9136732a86c5af885b09c50bf" QUALIFY row_number() OVER (PARTITION BY "ID" ORDER BY "_headrace_row" DESC) = 1) AS s ON t."ID" = s."ID"
WHEN MATCHED AND coalesce(CAST(s."GONE" AS BOOLEAN), FALSE) THEN DELETE
WHEN MATCHED AND (t."NAME" IS DISTINCT FROM s."NAME" OR t."AT" IS DISTINCT FROM s."AT" OR t."GONE" IS DISTINCT FROM s."GONE") THEN UPDATE SET "NAME" = s."NAME", "AT" = s."AT", "GONE" = s."GONE"
WHEN NOT MATCHED AND NOT coalesce(CAST(s."GONE" AS BOOLEAN), FALSE) THEN INSERT ("ID", "NAME", "AT", "GONE") VALUES (s."ID", s."NAME", s."AT", s."GONE");

-- holds its lock until the commit; what comes after it reads what is committed: https://docs.snowflake.com/en/sql-reference/transactions#isolation-level
UPDATE "_HEADRACE"."MUTEX" SET TOUCHED = TOUCHED + 1;

-- compare-and-set, since keys are not enforced: https://docs.snowflake.com/en/sql-reference/constraints-overview
UPDATE "_HEADRACE"."POSITIONS" SET SEQ = SEQ + 1, POSITION = ?, LOAD_ID = ?, SCHEMA_VERSION = ?, COMMITTED_AT = CAST(SYSDATE() AS TIMESTAMP_NTZ(6))
WHERE PIPELINE = ? AND STREAM = ? AND EPOCH = ? AND SEQ = ? AND POSITION IS NOT DISTINCT FROM ?;

-- https://docs.snowflake.com/en/sql-reference/sql/insert
INSERT INTO "_HEADRACE"."LOADS" SELECT ?, ?, ?, ?, ?, ?, ?, ?, CAST(SYSDATE() AS TIMESTAMP_NTZ(6));

-- https://docs.snowflake.com/en/sql-reference/sql/commit
COMMIT;

-- https://docs.snowflake.com/en/sql-reference/sql/drop-table
DROP TABLE IF EXISTS "_HEADRACE"."STAGE_b9136732a86c5af885b09c50bf";

-- https://docs.snowflake.com/en/sql-reference/sql/remove
REMOVE @"_HEADRACE"."FILES"/headrace/b9136732a86c5af885b09c50bf/;
