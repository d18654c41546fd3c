import { type Assertion, type DataCheck, renderQuery, TABLE_VARIABLE, type TemplateValues } from "../config/index.ts";
import {
	type CheckReceipt,
	type DestinationReads,
	HeadraceError,
	type NewRows,
	type SqlRow,
	type Verify,
} from "../core/index.ts";
import {
	asSubquery,
	countFailing,
	countRepeated,
	countRowsOf,
	failingCondition,
	firstFailing,
	firstRowsOf,
	isRepeated,
	isStale,
} from "../sql/index.ts";
import { placeText } from "./place-text.ts";

/** Failing rows that a message names. */
const ROWS_NAMED_MAX = 5;
const VALUE_CHARACTERS_MAX = 60;

export interface ChecksInput {
	readonly checks: readonly DataCheck[];
	/** Columns that may be told of a failing row: those of the key that are not masked. */
	readonly shownKey: readonly string[];
	/** Masked columns, which `--show-values` leaves out too. */
	readonly masked: ReadonlySet<string>;
	/** Columns whose times have a zone. */
	readonly zoned: ReadonlySet<string>;
	readonly sql: DestinationReads;
	readonly values: TemplateValues;
	/** Files are named relative to it. */
	readonly directory: string;
	readonly now: () => Date;
	/** Told of failed checks whose severity is `warn`. */
	readonly onWarning: (message: string) => void;
}

interface Finding {
	readonly check: DataCheck;
	readonly failing: number;
	/** What is wrong, with the keys of failing rows. */
	readonly message: string;
	/** Values of failing rows. */
	readonly values?: string;
}

/** The checks of one table: asked of its new rows, with what they found. */
export class TableChecks {
	/** What the last rows that were verified gave; undefined before. */
	receipts: readonly CheckReceipt[] | undefined;
	readonly #input: ChecksInput;

	constructor(input: ChecksInput) {
		this.#input = input;
	}

	/** Asks every check, so that all that is wrong is told at once. @throws E_CHECK */
	readonly verify: Verify = async (view) => {
		this.receipts = [];
		const counted = await this.#counts(view);
		const findings: Finding[] = [];
		for (const check of this.#input.checks) {
			const finding = await this.#asking([check], () => this.#finding(check, view, counted));
			if (finding !== null) findings.push(finding);
			const failing = finding?.failing ?? 0;
			const state = finding === null ? "passed" : "failed";
			this.receipts = [...this.receipts, { name: check.name, severity: check.severity, state, failing }];
		}
		this.#tell(findings);
	};

	#tell(findings: readonly Finding[]): void {
		const { directory, onWarning } = this.#input;
		for (const { check, message } of findings)
			if (check.severity === "warn") onWarning(`check ${quoted(check.name)} failed: ${message}`);
		const errors = findings.filter(({ check }) => check.severity === "error");
		const [first] = errors;
		if (first === undefined) return;
		const texts = errors.map(({ check, message }) => `${quoted(check.name)}: ${message}`);
		const values = errors.flatMap((finding) => finding.values ?? []).join("; ");
		const message =
			errors.length === 1
				? `check ${quoted(first.check.name)} failed: ${first.message}`
				: `${errors.length} checks failed: ${texts.join("; ")}`;
		throw new HeadraceError("E_CHECK", message, {
			...first.check.place,
			hint: `The table keeps the rows that it had. Mend them at the source, or the check${placeText(first.check.place, directory)}.`,
			...(values === "" ? {} : { values }),
		});
	}

	/** Everything that one scan of the table can tell, by the place of the check. */
	async #counts(view: NewRows): Promise<SqlRow> {
		const { checks, sql, zoned, now } = this.#input;
		const counts = new Map<string, string>();
		const aggregates = new Map<string, string>();
		const asked = checks.filter((check, index) => {
			const { assertion } = check;
			if (assertion.kind === "freshness") {
				const moment = new Date(now().getTime() - assertion.ageMs).toISOString().slice(0, 19).replace("T", " ");
				aggregates.set(`c${index}`, isStale(sql, assertion.column, moment, zoned.has(assertion.column)));
			} else if (isOfRows(assertion)) counts.set(`c${index}`, failingCondition(sql, assertion));
			return assertion.kind !== "unique" && assertion.kind !== "sql";
		});
		if (asked.length === 0 && checks.every(({ assertion }) => assertion.kind === "sql")) return {};
		const text = countFailing(sql, view.relation, counts, aggregates);
		return this.#asking(asked, async () => (await view.query(text))[0] ?? {});
	}

	async #finding(check: DataCheck, view: NewRows, counted: SqlRow): Promise<Finding | null> {
		const { sql } = this.#input;
		const { assertion } = check;
		const rowCount = Number(counted["row_count"] ?? 0);
		switch (assertion.kind) {
			case "rows":
				return meets(rowCount, assertion)
					? null
					: { check, failing: 1, message: `it has ${rowCount} rows, not ${assertion.operator} ${assertion.count}` };
			case "freshness":
				return this.#counted(check, counted) === 0
					? null
					: { check, failing: 1, message: `the newest ${assertion.column} is older than ${ageText(assertion.ageMs)}` };
			case "sql":
				return this.#ofSql(check, assertion.sql, view);
			case "unique": {
				const [row] = await view.query(countRepeated(sql, view.relation, assertion.columns));
				const failing = Number(row?.["failing"] ?? 0);
				if (failing === 0) return null;
				const condition = isRepeated(sql, view.relation, assertion.columns);
				return this.#ofRows({ check, failing, rowCount }, condition, assertion.columns, view);
			}
			default: {
				const failing = this.#counted(check, counted);
				if (failing === 0) return null;
				return this.#ofRows({ check, failing, rowCount }, failingCondition(sql, assertion), [assertion.column], view);
			}
		}
	}

	#counted(check: DataCheck, counted: SqlRow): number {
		return Number(counted[`c${this.#input.checks.indexOf(check)}`] ?? 0);
	}

	/** A finding about rows of the table: the first of them by their keys. */
	async #ofRows(
		found: { readonly check: DataCheck; readonly failing: number; readonly rowCount: number },
		condition: string,
		columns: readonly string[],
		view: NewRows,
	): Promise<Finding> {
		const { sql, shownKey, masked } = this.#input;
		const { check, failing, rowCount } = found;
		const shown = columns.filter((column) => !masked.has(column));
		const asked = { key: shownKey, others: shown };
		const rows =
			shownKey.length + shown.length === 0
				? []
				: await view.query(firstFailing(sql, view.relation, condition, asked, ROWS_NAMED_MAX));
		const message = `${failing} of ${rowCount} rows${keysText(rows, shownKey, failing)}`;
		return { check, failing, message, ...valuesText(check.name, rows, shown) };
	}

	async #ofSql(check: DataCheck, template: string, view: NewRows): Promise<Finding | null> {
		const { sql, values, shownKey, masked } = this.#input;
		const relations = { [TABLE_VARIABLE]: view.relation };
		const dialect = { quoteString: sql.quoteLiteral, backslashEscapes: sql.backslashEscapes === true };
		const select = asSubquery(await renderQuery(template, { ...values, relations }, dialect, check.place));
		const [row] = await view.query(countRowsOf(select));
		const failing = Number(row?.["n"] ?? 0);
		if (failing === 0) return null;
		const rows = await view.query(firstRowsOf(select, ROWS_NAMED_MAX));
		const columns = Object.keys(rows[0] ?? {});
		const key = shownKey.every((name) => columns.includes(name)) ? shownKey : [];
		const message = `its query returns ${failing} rows${keysText(rows, key, failing)}`;
		const shown = columns.filter((column) => !masked.has(column));
		return { check, failing, message, ...valuesText(check.name, rows, shown) };
	}

	/** An engine's error says which checks it is about. */
	async #asking<T>(checks: readonly DataCheck[], ask: () => Promise<T>): Promise<T> {
		try {
			return await ask();
		} catch (error) {
			if (!(error instanceof HeadraceError) || error.reaction === "retry" || error.code === "E_STOPPED") throw error;
			const place = checks[0]?.place ?? {};
			const names = checks.map(({ name }) => quoted(name)).join(", ");
			const what = checks.length === 1 ? "check" : "checks";
			throw new HeadraceError("E_CHECK", `${what} ${names} can't be asked: ${error.message}`, {
				...place,
				hint: `Mend the check${placeText(place, this.#input.directory)}.`,
				cause: error,
			});
		}
	}
}

function isOfRows(assertion: Assertion): assertion is Extract<Assertion, { kind: "not_null" | "accepted" | "range" }> {
	return assertion.kind === "not_null" || assertion.kind === "accepted" || assertion.kind === "range";
}

function meets(rows: number, { operator, count }: Extract<Assertion, { kind: "rows" }>): boolean {
	switch (operator) {
		case "=":
			return rows === count;
		case "!=":
			return rows !== count;
		case "<":
			return rows < count;
		case "<=":
			return rows <= count;
		case ">":
			return rows > count;
		case ">=":
			return rows >= count;
	}
}

/** `; id: 5, 7, …`, or `; (id, line): (5, 1), (7, 2)`. */
function keysText(rows: readonly SqlRow[], key: readonly string[], failing: number): string {
	if (key.length === 0 || rows.length === 0) return "";
	const one = key.length === 1;
	const texts = rows.map((row) => {
		const values = key.map((name) => shortText(row[name] ?? null)).join(", ");
		return one ? values : `(${values})`;
	});
	const names = one ? key[0] : `(${key.join(", ")})`;
	return `; ${names}: ${[...new Set(texts)].join(", ")}${failing > rows.length ? ", …" : ""}`;
}

function valuesText(name: string, rows: readonly SqlRow[], columns: readonly string[]): { readonly values?: string } {
	if (rows.length === 0 || columns.length === 0) return {};
	const texts = rows.map((row) => columns.map((column) => `${column} ${shortText(row[column] ?? null)}`).join(", "));
	return { values: `${quoted(name)}: ${[...new Set(texts)].join("; ")}` };
}

/** A value in a list: quoted where it could be taken for something else. */
function shortText(value: string | null): string {
	if (value === null) return "NULL";
	const characters = [...value];
	const short =
		characters.length > VALUE_CHARACTERS_MAX ? `${characters.slice(0, VALUE_CHARACTERS_MAX).join("")}…` : value;
	return /^[\p{L}\p{N}_.:+-]+$/u.test(short) ? short : JSON.stringify(short);
}

function quoted(name: string): string {
	return JSON.stringify(name);
}

function ageText(ageMs: number): string {
	for (const [unit, size] of [
		["d", 86_400_000],
		["h", 3_600_000],
		["m", 60_000],
		["s", 1000],
	] as const)
		if (ageMs % size === 0) return `${ageMs / size}${unit}`;
	return `${ageMs}ms`;
}
