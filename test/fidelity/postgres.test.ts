import { POSTGRES } from "./dialects.ts";
import { fidelityOf } from "./fidelity.ts";

for (const server of ["postgres15", "postgres18"] as const) fidelityOf(server, POSTGRES);
