/** Columns whose text is the same in every database, what may be written into them, and what they may become. */
import type { Random } from "./random.ts";

export type Dialect = "mysql" | "postgres";

interface Kind {
	readonly mysql: string;
	readonly postgres: string;
	readonly value: (random: Random, dialect: Dialect) => string;
	/** Kinds that a column of this one may become, whatever is in it. */
	readonly becomes: readonly string[];
}

const kind = (
	mysql: string,
	postgres: string,
	becomes: readonly string[],
	value: (random: Random, dialect: Dialect) => string,
): Kind => ({ mysql, postgres, becomes, value });

const two = (number: number) => String(number).padStart(2, "0");
const day = (random: Random) =>
	`${1970 + random.integer(60)}-${two(1 + random.integer(12))}-${two(1 + random.integer(28))}`;

export const KINDS: Readonly<Record<string, Kind>> = {
	small: kind("smallint", "smallint", ["int", "long", "name"], (random) => String(random.integer(60_000) - 30_000)),
	int: kind("integer", "integer", ["long", "name"], (random) => String(random.integer(4e9) - 2e9)),
	long: kind("bigint", "bigint", ["int", "label"], (random) => String(random.integer(4e9) - 2e9)),
	name: kind("varchar(30)", "varchar(30)", ["label", "text"], (random) => `'näme € ${random.integer(1000)}'`),
	label: kind("varchar(60)", "varchar(60)", ["name", "text"], (random) => `'label ''${random.integer(1000)}'' \t'`),
	text: kind("mediumtext", "text", [], (random, dialect) => longText(dialect, random.integer(1000))),
	price: kind("decimal(10,2)", "numeric(10,2)", ["cost", "name"], (random) => `${random.integer(1e6) - 5e5}.25`),
	cost: kind("decimal(16,4)", "numeric(16,4)", [], (random) => `${random.integer(1e6) - 5e5}.0625`),
	day: kind("date", "date", ["at"], (random) => `'${day(random)}'`),
	at: kind("datetime", "timestamp(0)", [], (random) => `'${day(random)} ${two(random.integer(24))}:30:15'`),
};
export const KIND_NAMES = Object.keys(KINDS);

export interface WorldColumn {
	readonly name: string;
	readonly kind: string;
	readonly isRequired: boolean;
}

/** A value as SQL text; often NULL where the column may be. */
export function valueSql({ kind: name, isRequired }: WorldColumn, random: Random, dialect: Dialect): string {
	return !isRequired && random.chance(0.2) ? "null" : KINDS[name]!.value(random, dialect);
}

/** A column's definition in a statement; one that may not be NULL has a default for the rows that are there. */
export function definitionSql({ name, kind: of, isRequired }: WorldColumn, dialect: Dialect, random: Random): string {
	const type = KINDS[of]![dialect];
	if (!isRequired) return `${name} ${type}`;
	return `${name} ${type} not null default ${KINDS[of]!.value(random, dialect)}`;
}

/** Whether a column may be NOT NULL with a default: MySQL gives long texts none. */
export const mayHaveDefault = (of: string): boolean => of !== "text";

/** SQL of a text that is longer than a page of PostgreSQL lets a row be, and does not compress. */
export function longText(dialect: Dialect, seed: number): string {
	if (dialect === "mysql") return `repeat(md5('${seed}'), 20)`;
	return `(select string_agg(md5('${seed} ' || i), '') from generate_series(1, 90) as i)`;
}
