import type { ColumnType, Field } from "../core/index.ts";

type Scalar = "boolean" | "integer" | "wide integer" | "float" | "timestamptz" | "text" | "binary";
type Guess = { readonly kind: Scalar | "json" | "list" };

/**
 * Fields for sampled objects, in the order in which names first appear. Each column gets the narrowest type that holds
 * every value seen, by this lattice: integers (int64) → decimal(38,0) beyond 64 bits → text; integers and numbers with
 * decimals → float64 while every integer is exact in it; Date → timestamptz; bytes → binary; arrays of scalars →
 * text[]; objects and nested arrays → json; different scalars → text; anything mixed with an object or array → json.
 * Nothing but NULL → text. Every field is nullable.
 */
export function inferFields(rows: readonly Readonly<Record<string, unknown>>[]): Field[] {
	const values = new Map<string, unknown[]>();
	for (const row of rows)
		for (const [name, value] of Object.entries(row)) {
			let seen = values.get(name);
			if (seen === undefined) {
				seen = [];
				values.set(name, seen);
			}
			if (value !== null && value !== undefined) seen.push(value);
		}
	return [...values].map(([name, seen]) => ({ name, type: inferType(seen), nullable: true }));
}

function inferType(values: readonly unknown[]): ColumnType {
	if (values.length === 0) return { kind: "text" };
	const kinds = new Set(values.map((value) => guess(value).kind));
	if (kinds.size === 1) return typeFor([...kinds][0]!, values);
	if (kinds.has("json") || kinds.has("list")) return { kind: "json" };
	if ([...kinds].every((kind) => kind === "integer" || kind === "wide integer")) return typeFor("wide integer", values);
	if ([...kinds].every((kind) => kind === "integer" || kind === "float") && values.every(exactInDouble))
		return { kind: "float64" };
	return { kind: "text" };
}

function typeFor(kind: Guess["kind"], values: readonly unknown[]): ColumnType {
	switch (kind) {
		case "integer":
			return { kind: "int64" };
		case "wide integer": {
			const limit = 10n ** 38n;
			const fits = values.every((value) => {
				const integer = BigInt(value as bigint);
				return integer < limit && integer > -limit;
			});
			return fits ? { kind: "decimal", precision: 38, scale: 0 } : { kind: "text" };
		}
		case "float":
			return { kind: "float64" };
		case "list":
			return { kind: "list", element: { kind: "text" } };
		default:
			return { kind };
	}
}

function exactInDouble(value: unknown): boolean {
	return typeof value === "number" || BigInt(Number(value)) === value;
}

function guess(value: unknown): Guess {
	switch (typeof value) {
		case "boolean":
			return { kind: "boolean" };
		case "number":
			return { kind: Number.isSafeInteger(value) && !Object.is(value, -0) ? "integer" : "float" };
		case "bigint":
			return { kind: BigInt.asIntN(64, value) === value ? "integer" : "wide integer" };
		case "object":
			if (value instanceof Date) return { kind: "timestamptz" };
			if (value instanceof Uint8Array) return { kind: "binary" };
			if (Array.isArray(value) && value.every((item) => item === null || typeof item === "string"))
				return { kind: "list" };
			return { kind: "json" };
		default:
			return { kind: "text" };
	}
}
