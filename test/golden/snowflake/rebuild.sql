-- needs no warehouse: https://docs.snowflake.com/en/sql-reference/sql/desc-table, https://docs.snowflake.com/en/sql-reference/sql/show-tables
DESCRIBE SCHEMA "RAW";

-- needs no warehouse: https://docs.snowflake.com/en/sql-reference/sql/desc-table, https://docs.snowflake.com/en/sql-reference/sql/show-tables
SHOW TABLES IN SCHEMA "RAW" STARTS WITH 'T';

-- needs no warehouse: https://docs.snowflake.com/en/sql-reference/sql/desc-table, https://docs.snowflake.com/en/sql-reference/sql/show-tables
DESCRIBE TABLE "RAW"."T";

-- columns, defaults, keys and clustering; grants by COPY GRANTS: https://docs.snowflake.com/en/sql-reference/sql/create-table#create-table-like
CREATE TABLE "RAW"."_HEADRACE_BUILD_XXXX" LIKE "RAW"."T" COPY GRANTS;

-- https://docs.snowflake.com/en/sql-reference/sql/select
SELECT * FROM (SELECT * FROM (
select id, name, "AT" from raw.t where id = 1
) AS "_headrace_query") AS Q LIMIT 0;

-- https://docs.snowflake.com/en/sql-reference/sql/commit
ROLLBACK;

-- a transaction can have a name: https://docs.snowflake.com/en/sql-reference/sql/begin
BEGIN TRANSACTION NAME HEADRACE_XXXX;

-- https://docs.snowflake.com/en/sql-reference/sql/insert
INSERT INTO "RAW"."_HEADRACE_BUILD_XXXX" ("ID", "NAME", "AT") SELECT "ID", "NAME", "AT" FROM (SELECT * FROM (
select id, name, "AT" from raw.t where id = 1
) AS "_headrace_query") AS Q;

-- https://docs.snowflake.com/en/sql-reference/sql/commit
COMMIT;

-- https://docs.snowflake.com/en/sql-reference/sql/select
SELECT count(*) AS N FROM "RAW"."_HEADRACE_BUILD_XXXX";

-- one atomic statement, metadata and grants too: https://docs.snowflake.com/en/sql-reference/sql/alter-table
ALTER TABLE "RAW"."T" SWAP WITH "RAW"."_HEADRACE_BUILD_XXXX";

-- https://docs.snowflake.com/en/sql-reference/sql/drop-table
DROP TABLE IF EXISTS "RAW"."_HEADRACE_BUILD_XXXX";
