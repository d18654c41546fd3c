DROP TABLE "raw"."or""ders";

ALTER TABLE "raw"."orders__new" RENAME TO "or""ders";
