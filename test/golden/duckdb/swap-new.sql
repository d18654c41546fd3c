ALTER TABLE "raw"."orders__new" RENAME TO "orders";
