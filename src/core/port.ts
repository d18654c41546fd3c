/** One thing that `check` found, good or bad, with the statement that cures it. */
export interface Finding {
	readonly severity: "ok" | "warning" | "error";
	readonly message: string;
	/** A statement or command, ready to paste. */
	readonly remedy?: string;
}

/** What every connection to the outside offers. Closing it twice is harmless. */
export interface Port extends AsyncDisposable {
	/** Connects and looks at rights and settings; all findings at once. Throws only when it cannot connect. */
	check(): Promise<Finding[]>;
}
