INSERT INTO _headrace.positions AS p (pipeline, stream, epoch, seq)
		 SELECT $1, wanted.stream, 1, 0 FROM (SELECT DISTINCT pg_catalog.unnest($2::text[]) AS stream) AS wanted
		 ORDER BY wanted.stream COLLATE "C"
		 ON CONFLICT (pipeline, stream) DO UPDATE SET epoch = p.epoch + 1 RETURNING stream, epoch, seq, position, load_id, schema_version, pg_catalog.to_char(committed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');

BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;

CREATE TABLE "raw"."_headrace_new_LOAD" (LIKE "raw"."t" INCLUDING ALL EXCLUDING INDEXES EXCLUDING STATISTICS) USING heap;

ALTER TABLE "raw"."_headrace_new_LOAD" ALTER COLUMN "na""me" DROP NOT NULL;

ALTER TABLE "raw"."_headrace_new_LOAD" ADD COLUMN "price" numeric(10,2);

ALTER TABLE "raw"."_headrace_new_LOAD" ALTER COLUMN "share" SET DATA TYPE text USING NULL::text;

ALTER TABLE "raw"."_headrace_new_LOAD" ADD COLUMN "more" date;

ALTER TABLE "raw"."_headrace_new_LOAD" ALTER COLUMN "gone" DROP NOT NULL;

COPY "raw"."_headrace_new_LOAD" ("id", "na""me", "price", "share", "more") FROM STDIN WITH (FORMAT binary, FREEZE);

CREATE UNIQUE INDEX "_headrace_new_LOAD_0" ON "raw"."_headrace_new_LOAD" USING btree (id);

CREATE INDEX "_headrace_new_LOAD_1" ON "raw"."_headrace_new_LOAD" USING btree (lower(("na""me")::text));

SAVEPOINT headrace;

COMMENT ON TABLE "raw"."_headrace_new_LOAD" IS 'kept';

REVOKE ALL ON "raw"."_headrace_new_LOAD" FROM CURRENT_USER;

GRANT SELECT ON "raw"."_headrace_new_LOAD" TO PUBLIC;

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

ALTER SEQUENCE "raw"."_headrace_new_LOAD" RENAME TO "t_n_seq";

ALTER TABLE "raw"."t" ADD CONSTRAINT "t_pkey" PRIMARY KEY USING INDEX "_headrace_new_LOAD_0";

ALTER INDEX "raw"."_headrace_new_LOAD_1" RENAME TO "by_name";

RELEASE SAVEPOINT headrace;

UPDATE _headrace.positions SET seq = seq + 1, position = $1, load_id = $2, schema_version = $3,
		 committed_at = pg_catalog.clock_timestamp()
		 WHERE pipeline = $4 AND stream = $5 AND epoch = $6 AND seq = $7 AND position IS NOT DISTINCT FROM $8;

INSERT INTO _headrace.loads SELECT id, $2, table_name, $4, $5, inserted, updated, deleted, pg_catalog.clock_timestamp()
		 FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($3::text[]), pg_catalog.unnest($6::bigint[]),
		   pg_catalog.unnest($7::bigint[]), pg_catalog.unnest($8::bigint[]))
		   AS one (id, table_name, inserted, updated, deleted);

COMMIT;
