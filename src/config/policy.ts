import type { ErrorPlace } from "../core/errors.ts";
import type { TableName } from "../core/index.ts";

export type CheckSeverity = "error" | "warn";

/** What one check claims. Columns have their names in the destination; values are text, as SQL literals take them. */
export type Assertion =
	| { readonly kind: "rows"; readonly operator: "=" | "!=" | "<" | "<=" | ">" | ">="; readonly count: number }
	| { readonly kind: "not_null"; readonly column: string }
	| { readonly kind: "unique"; readonly columns: readonly string[] }
	| { readonly kind: "accepted"; readonly column: string; readonly values: readonly string[] }
	| { readonly kind: "range"; readonly column: string; readonly min?: string; readonly max?: string }
	| { readonly kind: "freshness"; readonly column: string; readonly ageMs: number }
	/** With templates; every row that it returns is a failure. */
	| { readonly kind: "sql"; readonly sql: string };

/** One claim about a table; an entry of `checks` with several becomes several. */
export interface DataCheck {
	readonly name: string;
	readonly table: TableName;
	readonly severity: CheckSeverity;
	readonly assertion: Assertion;
	readonly place: ErrorPlace;
}

/** A table that is built from a query of the destination. */
export interface Summary {
	readonly name: string;
	readonly into: TableName;
	/** With templates. */
	readonly query: string;
	readonly key: readonly string[];
	readonly checks: readonly DataCheck[];
	/** Absent: all tables of the run. */
	readonly dependsOn?: readonly Dependency[];
	readonly place: ErrorPlace;
	readonly queryPlace: ErrorPlace;
}

/** A summary's name, or a table by its name or pattern in the source or the destination. */
export interface Dependency {
	readonly text: string;
	readonly place: ErrorPlace;
}

/** Statements that run together in one transaction. */
export interface Hook {
	readonly on: "source" | "destination";
	/** With templates. */
	readonly statements: readonly { readonly sql: string; readonly place: ErrorPlace }[];
	readonly place: ErrorPlace;
}

export interface Hooks {
	readonly before: readonly Hook[];
	readonly after: readonly Hook[];
}

export const NO_HOOKS: Hooks = { before: [], after: [] };
