import type { TableName } from "./table.ts";

/** One thing that `check` found, good or bad, with the statement that cures it. */
export interface Finding {
	readonly severity: "ok" | "warning" | "error";
	readonly message: string;
	/** A statement or command, ready to paste. */
	readonly remedy?: string;
}

/** Rights that a pipeline needs, ready to paste. */
export interface Grant {
	/** Whom it is for, and what it is: `policy of the user or role`. */
	readonly title: string;
	readonly language: "sql" | "json";
	readonly text: string;
}

/** What every connection to the outside offers. Closing it twice is harmless. */
export interface Port extends AsyncDisposable {
	/** Connects and looks at rights and settings; all findings at once. Throws only when it cannot connect. */
	check(): Promise<Finding[]>;
	/** The least rights for these tables; absent where the port has no list of them. Changes nothing. */
	grants?(tables: readonly TableName[]): Promise<Grant[]>;
}
