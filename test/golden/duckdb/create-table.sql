CREATE TABLE "db"."raw"."orders" (
	"id" BIGINT NOT NULL,
	"odd ""name""" VARCHAR DEFAULT 'new',
	"select" DECIMAL(10,2)
);
