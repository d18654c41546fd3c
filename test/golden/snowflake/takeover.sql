-- a transaction whose client is gone stays open, under its name: https://docs.snowflake.com/en/sql-reference/sql/show-transactions
SHOW TRANSACTIONS;

-- a transaction can have a name: https://docs.snowflake.com/en/sql-reference/sql/begin
BEGIN TRANSACTION NAME HEADRACE_XXXX;

-- holds its lock until the commit; what comes after it reads what is committed: https://docs.snowflake.com/en/sql-reference/transactions#isolation-level
UPDATE "_HEADRACE"."MUTEX" SET TOUCHED = TOUCHED + 1;

-- https://docs.snowflake.com/en/sql-reference/sql/select
SELECT STREAM, EPOCH, SEQ, POSITION, LOAD_ID, SCHEMA_VERSION, TO_CHAR(COMMITTED_AT, 'YYYY-MM-DD"T"HH24:MI:SS.FF6') || 'Z' FROM "_HEADRACE"."POSITIONS" WHERE PIPELINE = ? ORDER BY STREAM;

-- compare-and-set, since keys are not enforced: https://docs.snowflake.com/en/sql-reference/constraints-overview
UPDATE "_HEADRACE"."POSITIONS" SET EPOCH = EPOCH + 1 WHERE PIPELINE = ? AND STREAM = ?;

-- https://docs.snowflake.com/en/sql-reference/sql/insert
INSERT INTO "_HEADRACE"."POSITIONS" (PIPELINE, STREAM, EPOCH, SEQ) VALUES (?, ?, 1, 0);

-- https://docs.snowflake.com/en/sql-reference/sql/select
SELECT STREAM, EPOCH, SEQ, POSITION, LOAD_ID, SCHEMA_VERSION, TO_CHAR(COMMITTED_AT, 'YYYY-MM-DD"T"HH24:MI:SS.FF6') || 'Z' FROM "_HEADRACE"."POSITIONS" WHERE PIPELINE = ? ORDER BY STREAM;

-- https://docs.snowflake.com/en/sql-reference/sql/commit
COMMIT;

-- https://docs.snowflake.com/en/sql-reference/sql/select
SELECT LOAD_ID, PIPELINE, STREAM, SCHEMA_NAME, TABLE_NAME FROM "_HEADRACE"."SWAPS" WHERE PIPELINE = ? ORDER BY COMMITTED_AT;
