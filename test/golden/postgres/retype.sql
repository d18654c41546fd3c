BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;

LOCK TABLE "raw"."t" IN SHARE MODE;

CREATE TABLE "raw"."_headrace_new_LOAD" (LIKE "raw"."t" INCLUDING ALL EXCLUDING INDEXES EXCLUDING STATISTICS) USING heap;

ALTER TABLE "raw"."_headrace_new_LOAD" ALTER COLUMN "price" DROP DEFAULT, ALTER COLUMN "price" TYPE numeric(10,2) USING NULL::numeric(10,2);

ALTER TABLE "raw"."_headrace_new_LOAD" ALTER COLUMN "day" DROP DEFAULT, ALTER COLUMN "day" TYPE date USING NULL::date;

INSERT INTO "raw"."_headrace_new_LOAD" ("id", "price", "day") OVERRIDING SYSTEM VALUE SELECT "id", "price"::numeric(10,2), "day"::date FROM "raw"."t";

CREATE UNIQUE INDEX "_headrace_new_LOAD_0" ON "raw"."_headrace_new_LOAD" USING btree (id);

CREATE INDEX "_headrace_new_LOAD_1" ON "raw"."_headrace_new_LOAD" USING btree (price);

ANALYZE "raw"."_headrace_new_LOAD";

SAVEPOINT headrace;

REVOKE ALL ON "raw"."_headrace_new_LOAD" FROM CURRENT_USER;

GRANT DELETE ON "raw"."_headrace_new_LOAD" TO "headrace";

GRANT INSERT ON "raw"."_headrace_new_LOAD" TO "headrace";

GRANT REFERENCES ON "raw"."_headrace_new_LOAD" TO "headrace";

GRANT SELECT ON "raw"."_headrace_new_LOAD" TO "headrace";

GRANT TRIGGER ON "raw"."_headrace_new_LOAD" TO "headrace";

GRANT TRUNCATE ON "raw"."_headrace_new_LOAD" TO "headrace";

GRANT UPDATE ON "raw"."_headrace_new_LOAD" TO "headrace";

RELEASE SAVEPOINT headrace;

SAVEPOINT headrace;

LOCK TABLE "raw"."t" IN ACCESS EXCLUSIVE MODE;

DROP TABLE "raw"."t";

ALTER TABLE "raw"."_headrace_new_LOAD" RENAME TO "t";

ALTER TABLE "raw"."t" ADD CONSTRAINT "t_pkey" PRIMARY KEY USING INDEX "_headrace_new_LOAD_0";

ALTER INDEX "raw"."_headrace_new_LOAD_1" RENAME TO "by_price";

RELEASE SAVEPOINT headrace;

COMMIT;
