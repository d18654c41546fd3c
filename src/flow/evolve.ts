import { type ColumnType, holdsType, parseColumnType, type RecordedColumn, sameType, typeName } from "../core/index.ts";
import type { Decision, Evolution, EvolveInput, LandingColumn } from "./evolution.ts";
import { recordOf } from "./evolution-record.ts";
import { decideCollation, decideDefault, decideGone, decideNull, rereadCure, type Told } from "./evolve-facets.ts";
import { decideName, type NameDecision } from "./evolve-name.ts";
import { decideType } from "./evolve-type.ts";
import { type ColumnPair, type CurrentColumn, pairColumns } from "./schema-diff.ts";
import { ADVICE, type ChangeKind, DONE, type Does, SCHEMA_RULES } from "./schema-rules.ts";

/**
 * Compares the source's columns with those that were recorded last and with the table, and decides by the policy. Pure:
 * it reads and changes nothing.
 */
export function evolve(input: EvolveInput): Evolution {
	return new Decider(input).decide();
}

/** What is done by a table that is built anew. */
const BUILDS: ReadonlySet<string> = new Set([DONE["build anew"], DONE.convert]);

/** How a column lands. */
interface Landed extends Pick<LandingColumn, "target" | "type" | "misfit"> {
	/** The record keeps what it has, so that the next run finds the change again. */
	readonly held: boolean;
	readonly variant?: number;
}

class Decider {
	readonly #input: EvolveInput;
	readonly #decisions: (Omit<Decision, "note"> & { readonly note: string | (() => string) })[] = [];
	readonly #landing: LandingColumn[] = [];
	readonly #record: RecordedColumn[] = [];
	readonly #kept: RecordedColumn[] = [];
	readonly #added: string[] = [];
	readonly #fixes: { column: string; type: ColumnType }[] = [];
	#again = false;
	#anew = false;

	constructor(input: EvolveInput) {
		this.#input = input;
	}

	decide(): Evolution {
		const { current, recorded, policy } = this.#input;
		const { pairs, gone } = pairColumns(current, recorded ?? this.#recordOfTable());
		for (const pair of pairs) this.#decidePair(pair);
		for (const column of gone) this.#decideGone(column, pairs);
		this.#keepDropped(recorded ?? []);
		this.#decideKey(pairs);
		this.#checkNeeded();
		return {
			decisions: this.#told(),
			landing: this.#landing,
			kept: this.#kept,
			reading: this.#anew ? "anew" : this.#again && policy !== "fail" ? "again" : "usual",
			added: this.#added,
			fixes: this.#anew ? [] : this.#fixes,
			record: this.#record,
		};
	}

	/** Nothing was recorded: what the table has counts as what was there, in all that can't be known equal to now. */
	#recordOfTable(): RecordedColumn[] {
		const { current, key, existing } = this.#input;
		return current.flatMap((column) => {
			const found = existing.column(column.target, [column.type]);
			return found === null ? [] : [recordOf(column, key, found.type ?? column.type)];
		});
	}

	#say(
		column: string,
		kind: ChangeKind,
		does: Does,
		change: string,
		note: string | (() => string),
		action = DONE[does],
	): void {
		this.#decisions.push({ column, kind, does, change, action, note });
	}

	#tell(column: string, told: Told | null): void {
		if (told !== null) this.#say(column, told.kind, told.does, told.change, told.note);
	}

	/** Some notes depend on what was decided after them. */
	#told(): Decision[] {
		const { mode, noSecondReading } = this.#input;
		const can = noSecondReading === null || mode === "full";
		return this.#decisions.map(({ note, ...decision }) => {
			const text = typeof note === "string" ? note : note();
			if (can || !BUILDS.has(decision.action)) return { ...decision, note: text };
			const why = `a new table can't be made of it: ${noSecondReading}`;
			return { ...decision, does: "stop", action: DONE.stop, note: why };
		});
	}

	#rule(kind: ChangeKind): Does {
		return SCHEMA_RULES[kind][this.#input.policy];
	}

	#decidePair(pair: ColumnPair): void {
		const { column, before } = pair;
		// A column that someone took out of the table comes as one that is new.
		if (before === null || this.#input.existing.column(before.target, []) === null) {
			this.#decideAdded(pair);
			return;
		}
		const target = this.#decideName(pair, before);
		if (target === null) return;
		const landed = this.#decideType(column, before, target.name);
		if (landed === null) return;
		const notNull = this.#decideNull(column, before, landed.target);
		this.#decideRest(column, before);
		this.#landing.push({
			name: column.name,
			target: landed.target,
			type: landed.type,
			...(landed.misfit === undefined ? {} : { misfit: landed.misfit }),
			...(target.renamedFrom === undefined ? {} : { renamedFrom: target.renamedFrom }),
			...(notNull ? { notNull: true as const } : {}),
		});
		const record = recordOf(column, this.#input.key, landed.type, landed.target);
		// What is not taken over is found again by the next run, which does the same, or more under another policy.
		const held = target.held === true || landed.held || notNull;
		this.#record.push(
			held
				? { ...before, ...(record.key === undefined ? {} : { key: record.key }) }
				: { ...record, ...(landed.variant === undefined ? {} : { variant: landed.variant }) },
		);
	}

	/** The column's name in the destination; null when it does not land. */
	#decideName(pair: ColumnPair, before: RecordedColumn): (NameDecision & { readonly name: string }) | null {
		const { column } = pair;
		const { current, fold } = this.#input;
		const decided = decideName(this.#input, pair, before);
		const { name, told, discarded, taken } = decided;
		if (told !== undefined) this.#say(column.name, "renamed", told.does, told.change, told.note);
		if (name === null) {
			if (discarded === true) this.#discard(column);
			this.#record.push(before);
			return null;
		}
		if (taken === true) {
			this.#readOldRows(true);
			if (!current.some((other) => fold(other.target) === fold(before.target))) this.#keep(before);
		}
		return { ...decided, name };
	}

	#discard(column: CurrentColumn): void {
		this.#landing.push({ name: column.name, target: column.name, type: column.type, discarded: true });
	}

	/** Reads rows from before once more, so that they get what is new. Without a key only a new table does that. */
	#readOldRows(orBuild: boolean): void {
		if (this.#input.updates && this.#input.noSecondReading === null) this.#again = true;
		else if (orBuild) this.#anew = true;
	}

	#decideAdded({ column, before, perhaps }: ColumnPair): void {
		const { existing, mode, recorded, fold } = this.#input;
		const kind: ChangeKind = perhaps === undefined ? "added" : "perhaps renamed";
		const does = this.#rule(kind);
		const change = perhaps === undefined ? "added" : `added, when ${perhaps.name} went`;
		const declare = `declare columns: { ${column.name}: { renamed_from: ${perhaps?.name} } } if it is the same`;
		if (does === "stop") {
			this.#say(column.name, kind, does, change, perhaps === undefined ? "it is new in the source" : declare);
			return;
		}
		if (does === "leave out") {
			this.#say(column.name, kind, does, change, "it is new in the source, and not loaded");
			return;
		}
		if (does === "discard") {
			this.#say(column.name, kind, does, change, "it is new in the source: its values are counted and not loaded");
			this.#discard(column);
			return;
		}
		const found = existing.column(column.target, [column.type]);
		// Of another column that had the name, not of this one whose column someone took out of the table.
		const hadBefore = before === null && (recorded ?? []).some((old) => fold(old.target) === fold(column.target));
		let { type } = column;
		if (found?.type != null && !sameType(found.type, type)) {
			if (holdsType(found.type, type)) type = found.type;
			else if (!holdsType(type, found.type)) this.#anew = true;
		}
		this.#added.push(column.target);
		const fill = found === null && mode !== "full" && column.defaultSql !== undefined && column.defaultSql !== "NULL";
		this.#landing.push({ name: column.name, target: column.target, type, ...(fill ? { fill: true as const } : {}) });
		this.#record.push(recordOf(column, this.#input.key, type));
		this.#readOldRows(false);
		const more = [...(perhaps === undefined ? [] : [declare]), ...(hadBefore ? [ADVICE.repurpose] : [])];
		this.#say(column.name, kind, does, change, () => [this.#fillNote(column, fill), ...more].join(". "));
	}

	#fillNote(column: CurrentColumn, fill: boolean): string {
		const { mode, updates, noSecondReading } = this.#input;
		if (mode === "full" || this.#anew) return "every row is loaded anew with it";
		if (updates && noSecondReading === null) return "rows from before are read once more, for their values of it";
		const have = fill ? `the default ${column.defaultSql}, as the source gave them` : "NULL";
		const why = noSecondReading ?? "rows without a key that takes new values can't be brought up to date";
		return `rows from before have ${have}: ${why}; ${rereadCure(this.#input)}`;
	}

	/** As what the column lands, and where; null when that stops the table. */
	#decideType(column: CurrentColumn, before: RecordedColumn, target: string): Landed | null {
		const { existing } = this.#input;
		const recorded = parseColumnType(before.landed) ?? column.type;
		const candidates = [recorded, column.type];
		const there = existing.column(target, candidates) ?? existing.column(before.target, candidates);
		const landed = there?.type ?? column.type;
		const changed = {
			type: before.type !== typeName(column.type),
			declaration: before.source_type !== column.sourceType,
		};
		const decided = decideType(this.#input, column, landed, changed);
		const { type, told, misfit } = decided;
		// The pipeline asks for another type, where the source's is as it was.
		const [from, to] = changed.declaration
			? [before.source_type, column.sourceType]
			: [typeName(landed), typeName(column.type)];
		const change = (word: string) => `${word} ${from} → ${to}`;
		// A text that is renamed too can't be tried in its place.
		const isMoved = decided.fix === true && existing.column(target, []) === null;
		const action = isMoved ? DONE["build anew"] : told?.action;
		if (told !== undefined) this.#say(column.name, told.kind, told.does, change(told.kind), told.note, action);
		if (type === null) return null;
		if (decided.variant === true) {
			const variant = this.#giveVariant(column, before);
			const note = `new values go into ${variant.target}, old ones stay in ${before.target}. ${ADVICE.retype}`;
			this.#say(column.name, "retyped", "convert", change("retyped"), note, `added as ${variant.target}`);
			return { ...variant, type, held: false };
		}
		if (decided.anew === true || isMoved) this.#anew = true;
		if (decided.fix === true) this.#fixes.push({ column: target, type });
		return {
			target,
			type,
			held: decided.held === true,
			...(misfit === undefined ? {} : { misfit }),
			...(before.variant === undefined ? {} : { variant: before.variant }),
		};
	}

	/** The old values stay where they are; those of the new type get a column of their own. */
	#giveVariant(column: CurrentColumn, before: RecordedColumn): { readonly target: string; readonly variant: number } {
		const { existing, current, fold } = this.#input;
		const taken = (name: string) =>
			existing.column(name, []) !== null || current.some((other) => fold(other.target) === fold(name));
		let variant = (before.variant ?? 1) + 1;
		while (taken(`${column.target}__v${variant}`)) variant++;
		const target = `${column.target}__v${variant}`;
		this.#keep(before);
		this.#added.push(target);
		return { target, variant };
	}

	/** The table keeps a column that rows no longer have. */
	#keep({ key: _key, ...column }: RecordedColumn): void {
		this.#kept.push({ ...column, dropped: true });
	}

	/** Whether the table's column must stay NOT NULL. */
	#decideNull(column: CurrentColumn, before: RecordedColumn, target: string): boolean {
		const strict = this.#input.existing.column(target, [])?.nullable === false;
		const told = decideNull(this.#input, column, before, strict);
		this.#tell(column.name, told);
		return told?.does === "refuse null" && strict;
	}

	#decideRest(column: CurrentColumn, before: RecordedColumn): void {
		this.#tell(column.name, decideDefault(this.#input, column, before));
		const told = decideCollation(this.#input, column, before);
		this.#tell(column.name, told);
		if (told?.does === "build anew") this.#anew = true;
		else if (told?.does === "read again") this.#readOldRows(false);
	}

	#decideGone(column: RecordedColumn, pairs: readonly ColumnPair[]): void {
		const { fold, existing } = this.#input;
		const there = existing.column(column.target, []);
		const reused = this.#landing.some((landing) => fold(landing.target) === fold(column.target));
		if (!reused && there !== null) this.#keep(column);
		const told = decideGone(this.#input, column, { strict: there?.nullable === false, reused });
		// One message for the two of a rename that can't be told.
		if (told.does !== "stop" || !pairs.some((pair) => pair.perhaps === column)) this.#tell(column.name, told);
	}

	/** Columns that went in an earlier run are still the table's. */
	#keepDropped(recorded: readonly RecordedColumn[]): void {
		const { fold, existing } = this.#input;
		const known = new Set([...this.#landing, ...this.#kept].map((column) => fold(column.target)));
		for (const column of recorded)
			if (column.dropped === true && !known.has(fold(column.target)) && existing.column(column.target, []) !== null)
				this.#kept.push(column);
		this.#record.push(...this.#kept);
	}

	#decideKey(pairs: readonly ColumnPair[]): void {
		const { recorded, key, fold } = this.#input;
		if (recorded === null) return;
		const names = new Map(pairs.flatMap(({ column, before }) => (before === null ? [] : [[before.name, column.name]])));
		const old = recorded
			.filter((column) => column.key !== undefined && column.dropped !== true)
			.sort((a, b) => a.key! - b.key!)
			.map((column) => names.get(column.name) ?? column.name);
		if (old.length === key.length && old.every((name, index) => fold(name) === fold(key[index]!))) return;
		const does = this.#rule("key changed");
		const text = (columns: readonly string[]) => (columns.length === 0 ? "none" : columns.join(", "));
		if (does !== "stop") this.#anew = true;
		this.#say(
			text(key.length === 0 ? old : key),
			"key changed",
			does,
			`key ${text(old)} → ${text(key)}`,
			does === "stop"
				? "rows are told apart otherwise"
				: "all rows are read into a new table with the new key, which is swapped in",
		);
	}

	#checkNeeded(): void {
		for (const name of this.#input.needed) {
			const decided = this.#decisions.some((decision) => decision.column === name && decision.does === "stop");
			if (decided || this.#landing.some((column) => column.name === name && column.discarded !== true)) continue;
			this.#say(name, "added", "stop", "added", "the table needs it as key, cursor or flag of deletes");
		}
	}
}
