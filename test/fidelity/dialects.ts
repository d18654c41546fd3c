import type { Dialect } from "./fidelity.ts";
import { MYSQL_CASES, mysqlSql } from "./mysql-cases.ts";
import { POSTGRES_CASES, POSTGRES_SCHEMA, postgresSql } from "./postgres-cases.ts";

export const MYSQL: Dialect = {
	cases: MYSQL_CASES,
	quote: (name) => `\`${name}\``,
	prepare: "set names utf8mb4, sql_mode = 'ALLOW_INVALID_DATES'",
	cursor: ["datetime(6) not null", "'2024-05-01 12:00:00.123456'"],
	sql: mysqlSql,
	tableName: (database) => `${database.name}.wide`,
};

export const POSTGRES: Dialect = {
	cases: POSTGRES_CASES,
	quote: (name) => `"${name.replaceAll('"', '""')}"`,
	prepare: POSTGRES_SCHEMA,
	cursor: ["timestamp not null", "'2024-05-01 12:00:00.123456'"],
	sql: postgresSql,
	tableName: () => "public.wide",
};
