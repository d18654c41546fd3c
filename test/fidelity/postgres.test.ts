import { type Dialect, fidelityOf } from "./fidelity.ts";
import { POSTGRES_CASES, POSTGRES_SCHEMA, postgresSql } from "./postgres-cases.ts";

const POSTGRES: Dialect = {
	cases: POSTGRES_CASES,
	quote: (name) => `"${name.replaceAll('"', '""')}"`,
	prepare: POSTGRES_SCHEMA,
	cursor: ["timestamp not null", "'2024-05-01 12:00:00.123456'"],
	sql: postgresSql,
	tableName: () => "public.wide",
};

for (const server of ["postgres15", "postgres18"] as const) fidelityOf(server, POSTGRES);
