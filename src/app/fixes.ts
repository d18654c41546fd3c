import {
	type DestinationSql,
	HeadraceError,
	qualified,
	type SqlRow,
	type TargetTable,
	typeName,
} from "../core/index.ts";
import { countFailing, firstFailing } from "../sql/index.ts";
import { existingShape } from "./existing-shape.ts";
import type { Fix, TablePlan } from "./planned-table.ts";
import type { Session } from "./session.ts";

/** Failing rows that a message names. */
const ROWS_NAMED_MAX = 3;
const VALUE_CHARACTERS_MAX = 60;

/** What a scan of one column found. */
interface Tried {
	readonly fix: Fix;
	readonly rows: number;
	readonly failing: number;
	/** Keys of the first failing rows, as text. */
	readonly keys: readonly string[];
	readonly values: readonly string[];
}

/** What `plan` says of the fixes of a table: each is tried on every value. */
export async function fixNotes(session: Session, plan: TablePlan): Promise<string[]> {
	const fixes = await openFixes(session, plan, plan.task?.target ?? null);
	if (fixes.length === 0) return [];
	const sql = expectTextSql(session);
	const notes: string[] = [];
	for (const fix of fixes) {
		const { rows, failing, keys } = await tried(sql, plan, fix);
		const which = keys.length === 0 ? "" : `; failing keys ${keys.join(", ")}`;
		notes.push(`${failing} of ${rows} values of ${fix.column} fail the cast to ${typeName(fix.type)}${which}`);
	}
	return notes;
}

/**
 * Gives the text columns of a table their types before rows with these types come: every value is tried, cast beside the
 * old column, and compared by count and checksum; then the table changes in one transaction.
 * @throws E_VALUE when a value is none of the type; the table is then as it was
 */
export async function applyFixes(
	session: Session,
	plan: TablePlan,
	target: TargetTable,
	tell: (message: string) => void,
	signal: AbortSignal,
): Promise<void> {
	const fixes = await openFixes(session, plan, target);
	if (fixes.length === 0) return;
	const sql = expectTextSql(session);
	for (const fix of fixes) {
		const found = await tried(sql, plan, fix);
		if (found.failing > 0) throw misfit(plan, found);
		tell(`${fix.column}: 0 of ${found.rows} values fail the cast to ${typeName(fix.type)}`);
	}
	const { texts, retype } = sql;
	const relation = sql.relation(plan.into);
	const sums = (expressionOf: (fix: Fix) => string) =>
		fixes.flatMap((fix, index) => [
			`count(${sql.quoteIdentifier(fix.column)}) AS n${index}`,
			`${texts.checksum(expressionOf(fix))} AS s${index}`,
		]);
	const before = await sql.query(
		`SELECT ${sums((fix) => texts.value(fix.column, fix.type)).join(", ")} FROM ${relation}`,
	);
	await retype.call(sql, {
		table: plan.into,
		columns: fixes.map(({ column, type }) => ({
			name: column,
			destinationType: session.destination.mapType(type).destinationType,
			value: texts.value(column, type),
		})),
		verify: async (view) => {
			const after = await view.query(
				`SELECT ${sums((fix) => sql.quoteIdentifier(fix.column)).join(", ")} FROM ${view.relation}`,
			);
			if (JSON.stringify(after) !== JSON.stringify(before))
				throw new HeadraceError("E_CONFLICT", `the rows of ${qualified(plan.into)} changed while they were cast`, {
					hint: "Run again.",
				});
		},
		signal,
	});
	tell(`${fixes.map(({ column }) => column).join(", ")}: cast, checked and swapped in`);
}

/** The fixes that are still to be done: the table's column is text, and the rows that come have the type. */
async function openFixes(session: Session, plan: TablePlan, target: TargetTable | null): Promise<Fix[]> {
	const fixes = plan.fixes ?? [];
	if (fixes.length === 0 || target === null) return [];
	const existing = await session.destination.describe(plan.into);
	if (existing === null) return [];
	const shape = existingShape(existing, session.destination);
	return fixes.filter(({ column, type }) => {
		const comes = target.columns.find(({ name }) => name === column);
		const there = shape.column(column, [{ kind: "text" }]);
		return comes !== undefined && typeName(comes.type) === typeName(type) && there?.type?.kind === "text";
	});
}

type TextSql = DestinationSql & Required<Pick<DestinationSql, "texts" | "retype">>;

/** Fixes that the destination can't do, as errors of the plan. */
export function refusedFixes(session: Session, plan: TablePlan): HeadraceError[] {
	const { destination, pipeline } = session;
	const { rule } = plan.selected;
	return (plan.fixes ?? [])
		.filter(({ column, type }) => textSql(destination)?.texts.fails(column, type) == null)
		.map(({ column, type }) => {
			const message = `${pipeline.to.type} can't make ${typeName(type)} of the text in ${qualified(plan.into)}.${column}`;
			return new HeadraceError("E_UNSUPPORTED", message, {
				...(rule.places[`fix.${column}`] ?? rule.place),
				table: plan.source,
				hint: `Read the table anew instead: headrace run --full-refresh --table ${plan.source}`,
			});
		});
}

/** Null when the destination can't try texts. */
function textSql({ sql }: Session["destination"]): TextSql | null {
	return sql?.texts === undefined || sql.retype === undefined ? null : (sql as TextSql);
}

/** That of a table with fixes which were not refused. */
function expectTextSql({ destination }: Session): TextSql {
	const sql = textSql(destination);
	if (sql === null) throw new HeadraceError("E_INTERNAL", "the destination tries no texts");
	return sql;
}

async function tried(sql: TextSql, plan: TablePlan, fix: Fix): Promise<Tried> {
	const relation = sql.relation(plan.into);
	const condition = sql.texts.fails(fix.column, fix.type)!;
	const [row] = await sql.query(countFailing(sql, relation, new Map([["failing", condition]]), new Map()));
	const [rows, failing] = [Number(row?.["row_count"] ?? 0), Number(row?.["failing"] ?? 0)];
	if (failing === 0) return { fix, rows, failing, keys: [], values: [] };
	const columns = { key: plan.key, others: [fix.column] };
	const first = await sql.query(firstFailing(sql, relation, condition, columns, ROWS_NAMED_MAX));
	return {
		fix,
		rows,
		failing,
		keys: first.map((found) => keyText(plan, found)).filter((text) => text !== ""),
		values: first.map((found) => cut(found[fix.column] ?? "NULL")),
	};
}

function keyText({ key, task }: TablePlan, row: SqlRow): string {
	const masked = task?.masks?.size ?? 0;
	// A masked key is not told.
	if (key.length === 0 || masked > 0) return "";
	return key.map((name) => cut(row[name] ?? "NULL")).join("/");
}

function cut(text: string): string {
	return text.length > VALUE_CHARACTERS_MAX ? `${text.slice(0, VALUE_CHARACTERS_MAX)}…` : text;
}

function misfit(plan: TablePlan, { fix, rows, failing, keys, values }: Tried): HeadraceError {
	const column = `${qualified(plan.into)}.${fix.column}`;
	const which = keys.length === 0 ? "" : `: keys ${keys.join(", ")}${failing > keys.length ? ", …" : ""}`;
	return new HeadraceError(
		"E_VALUE",
		`${failing} of ${rows} values of ${column} are no ${typeName(fix.type)}${which}`,
		{
			...(plan.selected.rule.places[`fix.${fix.column}`] ?? plan.selected.rule.place),
			table: plan.source,
			hint: "The table is as it was. Mend the values at the source, or take another type; `--show-values` shows them.",
			values: `${fix.column}: ${values.join(", ")}`,
		},
	);
}
