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

-- needs no warehouse: https://docs.snowflake.com/en/sql-reference/sql/desc-table, https://docs.snowflake.com/en/sql-reference/sql/show-tables
SHOW TABLES IN SCHEMA "RAW" STARTS WITH 'T';

-- needs no warehouse: https://docs.snowflake.com/en/sql-reference/sql/desc-table, https://docs.snowflake.com/en/sql-reference/sql/show-tables
DESCRIBE TABLE "RAW"."T";

-- https://docs.snowflake.com/en/sql-reference/sql/commit
ROLLBACK;

-- a transaction can have a name: https://docs.snowflake.com/en/sql-reference/sql/begin
BEGIN TRANSACTION NAME HEADRACE_XXXX;

-- named files, loaded whatever the load metadata says, all or none: https://docs.snowflake.com/en/sql-reference/sql/copy-into-table
COPY INTO "RAW"."T" ("ID", "NAME", "AT")
FROM (SELECT CAST($1:"id" AS NUMBER(19,0)), CAST($1:"name" AS VARCHAR), CAST(CAST($1:"at" AS VARCHAR) AS TIMESTAMP_NTZ(6)) FROM @"_HEADRACE"."FILES"/headrace/b9136732a86c5af885b09c50bf/)
FILES = ('part-00000.parquet')
FILE_FORMAT = (TYPE = PARQUET BINARY_AS_TEXT = FALSE TRIM_SPACE = FALSE NULL_IF = ())
FORCE = TRUE ON_ERROR = ABORT_STATEMENT;

-- holds its lock until the commit; what comes after it reads what is committed: https://docs.snowflake.com/en/sql-reference/transactions#isolation-level
UPDATE "_HEADRACE"."MUTEX" SET TOUCHED = TOUCHED + 1;

-- compare-and-set, since keys are not enforced: https://docs.snowflake.com/en/sql-reference/constraints-overview
UPDATE "_HEADRACE"."POSITIONS" SET SEQ = SEQ + 1, POSITION = ?, LOAD_ID = ?, SCHEMA_VERSION = ?, COMMITTED_AT = CAST(SYSDATE() AS TIMESTAMP_NTZ(6))
WHERE PIPELINE = ? AND STREAM = ? AND EPOCH = ? AND SEQ = ? AND POSITION IS NOT DISTINCT FROM ?;

-- https://docs.snowflake.com/en/sql-reference/sql/insert
INSERT INTO "_HEADRACE"."LOADS" SELECT ?, ?, ?, ?, ?, ?, ?, ?, CAST(SYSDATE() AS TIMESTAMP_NTZ(6));

-- https://docs.snowflake.com/en/sql-reference/sql/commit
COMMIT;

-- https://docs.snowflake.com/en/sql-reference/sql/remove
REMOVE @"_HEADRACE"."FILES"/headrace/b9136732a86c5af885b09c50bf/;
