import { MYSQL } from "./dialects.ts";
import { fidelityOf } from "./fidelity.ts";

for (const server of ["mariadb", "mysql56"] as const) fidelityOf(server, MYSQL);
