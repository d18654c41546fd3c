import { type Dialect, fidelityOf } from "./fidelity.ts";
import { MYSQL_CASES, mysqlSql } from "./mysql-cases.ts";

const MYSQL: Dialect = {
	cases: MYSQL_CASES,
	quote: (name) => `\`${name}\``,
	prepare: "set names utf8mb4, sql_mode = 'ALLOW_INVALID_DATES'",
	cursor: ["datetime(6) not null", "'2024-05-01 12:00:00.123456'"],
	sql: mysqlSql,
	tableName: (database) => `${database.name}.wide`,
};

for (const server of ["mariadb", "mysql56"] as const) fidelityOf(server, MYSQL);
