-- what is read and compared does not depend on the account's settings: https://docs.snowflake.com/en/sql-reference/parameters
ALTER SESSION SET TIMEZONE = 'UTC', DATE_INPUT_FORMAT = 'AUTO', TIME_INPUT_FORMAT = 'AUTO', TIMESTAMP_INPUT_FORMAT = 'AUTO', DATE_OUTPUT_FORMAT = 'YYYY-MM-DD', TIME_OUTPUT_FORMAT = 'HH24:MI:SS.FF6', TIMESTAMP_NTZ_OUTPUT_FORMAT = 'YYYY-MM-DD HH24:MI:SS.FF6', TIMESTAMP_TZ_OUTPUT_FORMAT = 'YYYY-MM-DD HH24:MI:SS.FF6TZHTZM', TIMESTAMP_TYPE_MAPPING = 'TIMESTAMP_NTZ', BINARY_INPUT_FORMAT = 'HEX', BINARY_OUTPUT_FORMAT = 'HEX', QUOTED_IDENTIFIERS_IGNORE_CASE = FALSE, ERROR_ON_NONDETERMINISTIC_MERGE = TRUE, ERROR_ON_NONDETERMINISTIC_UPDATE = TRUE, TRANSACTION_ABORT_ON_ERROR = TRUE, ABORT_DETACHED_QUERY = TRUE, LOCK_TIMEOUT = 600, STATEMENT_TIMEOUT_IN_SECONDS = 86400, MULTI_STATEMENT_COUNT = 1, AUTOCOMMIT = TRUE, QUERY_TAG = 'headrace';

-- needs no warehouse: https://docs.snowflake.com/en/sql-reference/sql/desc-table, https://docs.snowflake.com/en/sql-reference/sql/show-tables
DESCRIBE TABLE "_HEADRACE"."MUTEX";

-- needs no warehouse: https://docs.snowflake.com/en/sql-reference/sql/desc-table, https://docs.snowflake.com/en/sql-reference/sql/show-tables
DESCRIBE SCHEMA "_HEADRACE";

-- does nothing when it is there: https://docs.snowflake.com/en/sql-reference/sql/create-table
CREATE SCHEMA IF NOT EXISTS "_HEADRACE";

-- does nothing when it is there: https://docs.snowflake.com/en/sql-reference/sql/create-table
CREATE TABLE IF NOT EXISTS "_HEADRACE"."POSITIONS" (
	PIPELINE VARCHAR NOT NULL, STREAM VARCHAR NOT NULL, EPOCH NUMBER(19,0) NOT NULL, SEQ NUMBER(19,0) NOT NULL,
	POSITION VARCHAR, LOAD_ID VARCHAR, SCHEMA_VERSION VARCHAR, COMMITTED_AT TIMESTAMP_NTZ(6), PRIMARY KEY (PIPELINE, STREAM));

-- does nothing when it is there: https://docs.snowflake.com/en/sql-reference/sql/create-table
CREATE TABLE IF NOT EXISTS "_HEADRACE"."LOADS" (
	LOAD_ID VARCHAR NOT NULL PRIMARY KEY, PIPELINE VARCHAR NOT NULL, TABLE_NAME VARCHAR NOT NULL, FROM_POSITION VARCHAR,
	TO_POSITION VARCHAR NOT NULL, ROWS_INSERTED NUMBER(19,0) NOT NULL, ROWS_UPDATED NUMBER(19,0) NOT NULL,
	ROWS_DELETED NUMBER(19,0) NOT NULL, COMMITTED_AT TIMESTAMP_NTZ(6) NOT NULL);

-- does nothing when it is there: https://docs.snowflake.com/en/sql-reference/sql/create-table
CREATE TABLE IF NOT EXISTS "_HEADRACE"."SCHEMAS" (
	PIPELINE VARCHAR NOT NULL, STREAM VARCHAR NOT NULL, SCHEMA_VERSION VARCHAR NOT NULL, COLUMNS_JSON VARCHAR NOT NULL,
	COMMITTED_AT TIMESTAMP_NTZ(6) NOT NULL);

-- does nothing when it is there: https://docs.snowflake.com/en/sql-reference/sql/create-table
CREATE TABLE IF NOT EXISTS "_HEADRACE"."SWAPS" (
	LOAD_ID VARCHAR NOT NULL PRIMARY KEY, PIPELINE VARCHAR NOT NULL, STREAM VARCHAR NOT NULL, SCHEMA_NAME VARCHAR NOT NULL,
	TABLE_NAME VARCHAR NOT NULL, COMMITTED_AT TIMESTAMP_NTZ(6) NOT NULL);

-- made with its row in one statement: https://docs.snowflake.com/en/sql-reference/sql/create-table#create-table-as-select-also-referred-to-as-ctas
CREATE TABLE IF NOT EXISTS "_HEADRACE"."MUTEX" AS SELECT CAST(0 AS NUMBER(38,0)) AS TOUCHED;

-- what is read and compared does not depend on the account's settings: https://docs.snowflake.com/en/sql-reference/parameters
ALTER SESSION SET TIMEZONE = 'UTC', DATE_INPUT_FORMAT = 'AUTO', TIME_INPUT_FORMAT = 'AUTO', TIMESTAMP_INPUT_FORMAT = 'AUTO', DATE_OUTPUT_FORMAT = 'YYYY-MM-DD', TIME_OUTPUT_FORMAT = 'HH24:MI:SS.FF6', TIMESTAMP_NTZ_OUTPUT_FORMAT = 'YYYY-MM-DD HH24:MI:SS.FF6', TIMESTAMP_TZ_OUTPUT_FORMAT = 'YYYY-MM-DD HH24:MI:SS.FF6TZHTZM', TIMESTAMP_TYPE_MAPPING = 'TIMESTAMP_NTZ', BINARY_INPUT_FORMAT = 'HEX', BINARY_OUTPUT_FORMAT = 'HEX', QUOTED_IDENTIFIERS_IGNORE_CASE = FALSE, ERROR_ON_NONDETERMINISTIC_MERGE = TRUE, ERROR_ON_NONDETERMINISTIC_UPDATE = TRUE, TRANSACTION_ABORT_ON_ERROR = TRUE, ABORT_DETACHED_QUERY = TRUE, LOCK_TIMEOUT = 600, STATEMENT_TIMEOUT_IN_SECONDS = 86400, MULTI_STATEMENT_COUNT = 1, AUTOCOMMIT = FALSE, QUERY_TAG = 'headrace';

-- a transaction whose client is gone stays open, under its name: https://docs.snowflake.com/en/sql-reference/sql/show-transactions
SHOW TRANSACTIONS;

-- a transaction can have a name: https://docs.snowflake.com/en/sql-reference/sql/begin
BEGIN TRANSACTION NAME HEADRACE_XXXX;

-- holds its lock until the commit; what comes after it reads what is committed: https://docs.snowflake.com/en/sql-reference/transactions#isolation-level
UPDATE "_HEADRACE"."MUTEX" SET TOUCHED = TOUCHED + 1;

-- https://docs.snowflake.com/en/sql-reference/sql/select
SELECT STREAM, EPOCH, SEQ, POSITION, LOAD_ID, SCHEMA_VERSION, TO_CHAR(COMMITTED_AT, 'YYYY-MM-DD"T"HH24:MI:SS.FF6') || 'Z' FROM "_HEADRACE"."POSITIONS" WHERE PIPELINE = ? ORDER BY STREAM;

-- https://docs.snowflake.com/en/sql-reference/sql/insert
INSERT INTO "_HEADRACE"."POSITIONS" (PIPELINE, STREAM, EPOCH, SEQ) VALUES (?, ?, 1, 0);

-- https://docs.snowflake.com/en/sql-reference/sql/select
SELECT STREAM, EPOCH, SEQ, POSITION, LOAD_ID, SCHEMA_VERSION, TO_CHAR(COMMITTED_AT, 'YYYY-MM-DD"T"HH24:MI:SS.FF6') || 'Z' FROM "_HEADRACE"."POSITIONS" WHERE PIPELINE = ? ORDER BY STREAM;

-- https://docs.snowflake.com/en/sql-reference/sql/commit
COMMIT;

-- https://docs.snowflake.com/en/sql-reference/sql/select
SELECT LOAD_ID, PIPELINE, STREAM, SCHEMA_NAME, TABLE_NAME FROM "_HEADRACE"."SWAPS" WHERE PIPELINE = ? ORDER BY COMMITTED_AT;
