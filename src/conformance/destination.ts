import { type Case, casesOf } from "./case.ts";
import { destinationChangesCases } from "./destination-changes.ts";
import type { DestinationSetup } from "./destination-fixture.ts";
import { destinationMergeCases } from "./destination-merges.ts";
import { destinationPartsCases } from "./destination-parts.ts";
import { destinationSchemaCases } from "./destination-schemas.ts";
import { destinationSqlCases, destinationVerifyCases } from "./destination-sql.ts";
import { destinationTableCases } from "./destination-tables.ts";
import { destinationTextCases } from "./destination-texts.ts";
import { destinationTransactionCases } from "./destination-transactions.ts";
import { destinationWriteCases } from "./destination-writes.ts";

/** What every destination must do: whole loads or none, fencing, each write's rows, types and names, and its own SQL. */
export function destinationSuite(setup: DestinationSetup): Case[] {
	return casesOf(setup, [
		...destinationTransactionCases,
		...destinationMergeCases,
		...destinationWriteCases,
		...destinationTableCases,
		...destinationSchemaCases,
		...destinationVerifyCases,
		...destinationSqlCases,
		...destinationTextCases,
		...destinationPartsCases,
		...destinationChangesCases,
	]);
}
