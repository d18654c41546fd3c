import type { z } from "zod";
import { type ErrorPlace, HeadraceError } from "../core/errors.ts";
import { type Path, type Positions, pathText } from "./positions.ts";
import { didYouMean, KEY_ALIASES } from "./suggest.ts";

type Issue = z.core.$ZodIssue;

/** A fault and the path of the value that has it. */
export interface ShapeFault {
	readonly error: HeadraceError;
	readonly path: Path;
}

/** Checks a file's value and says what is wrong with it in words of the file, each fault with its place. */
export function faultsOfShape(schema: z.ZodType, value: unknown, positions: Positions): ShapeFault[] {
	const result = schema.safeParse(value, { error: expectedForm });
	if (result.success) return [];
	return result.error.issues.flatMap((issue) =>
		flatten(issue).flatMap((each) => faultsOfIssue(each, { schema, value, positions })),
	);
}

/** What zod expected, in words; options that have a form of their own say it themselves. */
function expectedForm(issue: z.core.$ZodRawIssue): string {
	switch (issue.code) {
		case "invalid_value":
			return issue.values
				.map(String)
				.join(", ")
				.replace(/, ([^,]*)$/, " or $1");
		case "invalid_type":
			return (
				{ string: "text", int: "a whole number", record: "a map", object: "a map", array: "a list" }[
					issue.expected as string
				] ?? issue.expected
			);
		case "too_small":
			return `at least ${issue.minimum}`;
		case "too_big":
			return `at most ${issue.maximum}`;
		default:
			return "a valid value";
	}
}

/** The issues of the branch of a union that was meant: the one whose own type fits. */
function flatten(issue: Issue): Issue[] {
	if (issue.code !== "invalid_union") return [issue];
	const meant = issue.errors.find((errors) => !errors.some((each) => each.path.length === 0 && isTypeIssue(each)));
	if (meant === undefined || meant.every((each) => each.path.length === 0 && each.code !== "unrecognized_keys"))
		return [issue];
	return meant.flatMap((each) => flatten({ ...each, path: [...issue.path, ...each.path] } as Issue));
}

function isTypeIssue(issue: Issue): boolean {
	return issue.code === "invalid_type" || issue.code === "invalid_value" || issue.code === "invalid_union";
}

interface ShapeContext {
	readonly schema: z.ZodType;
	readonly value: unknown;
	readonly positions: Positions;
}

function faultsOfIssue(issue: Issue, context: ShapeContext): ShapeFault[] {
	const { positions } = context;
	const path = issue.path as (string | number)[];
	if (issue.code === "unrecognized_keys") {
		const known = keysAt(context.schema, path);
		return issue.keys.map((key) => ({
			error: unknownKey(key, known, path, positions),
			path: [...path, key],
		}));
	}
	const value = valueAt(context.value, path);
	const parent = path.slice(0, -1);
	if (value === undefined) {
		const message = `${inPath(parent)} has no ${path.at(-1)}; it must be ${issue.message}`;
		return [{ error: new HeadraceError("E_INVALID_VALUE", message, positions.key(parent)), path }];
	}
	const words = issue.code === "invalid_value" ? issue.values.map(String) : [];
	const meant = typeof value === "string" ? didYouMean(value, words) : "";
	const shown = shownValue(value, path, positions);
	const message = `${pathText(path)} must be ${issue.message}${shown}${meant}`;
	return [{ error: new HeadraceError("E_INVALID_VALUE", message, positions.value(path)), path }];
}

/** What was written, from the file: a value that a reference gave is never shown. */
export function shownValue(value: unknown, path: Path, positions: Positions): string {
	if (value === null) return ", not empty";
	if (Array.isArray(value)) return ", not a list";
	if (typeof value === "object") return ", not a map";
	const written = positions.source(path) ?? String(value);
	if (isSecretKey(String(path.at(-1)))) return "";
	return `, not ${JSON.stringify(written.length > 60 ? `${written.slice(0, 60)}…` : written)}`;
}

/** Keys whose values are never shown. */
export function isSecretKey(key: string): boolean {
	return /password|secret|private_key|access_key|token/i.test(key);
}

function inPath(path: Path): string {
	return path.length === 0 ? "the pipeline" : pathText(path);
}

function unknownKey(key: string, known: readonly string[], path: Path, positions: Positions): HeadraceError {
	const elsewhere = path.length === 0 && TABLE_KEYS.has(key) ? "; write it under defaults or a table" : undefined;
	const list = `; its keys are ${known.join(", ")}`;
	const meant = elsewhere ?? didYouMean(key, known, KEY_ALIASES, list);
	return new HeadraceError(
		"E_UNKNOWN_KEY",
		`unknown key ${JSON.stringify(key.slice(0, 120))} in ${inPath(path)}${meant}`,
		positions.key([...path, key]),
	);
}

const TABLE_KEYS = new Set([
	"mode",
	"key",
	"cursor",
	"write",
	"into",
	"deletes",
	"before_images",
	"late",
	"overlap",
	"columns",
	"where",
]);

function valueAt(value: unknown, path: Path): unknown {
	let at = value;
	for (const part of path) at = (at as Record<string | number, unknown> | null | undefined)?.[part];
	return at;
}

interface SchemaDefinition {
	readonly type: string;
	readonly innerType?: z.ZodType;
	readonly valueType?: z.ZodType;
	readonly element?: z.ZodType;
	readonly options?: readonly z.ZodType[];
	readonly shape?: Readonly<Record<string, z.ZodType>>;
}

/** Keys of the map at a path of a schema. */
function keysAt(schema: z.ZodType, path: Path): string[] {
	const definition = schema.def as unknown as SchemaDefinition;
	if (definition.innerType) return keysAt(definition.innerType, path);
	if (definition.options) return definition.options.flatMap((option) => keysAt(option, path));
	const [first, ...rest] = path;
	if (first === undefined) return definition.shape ? Object.keys(definition.shape) : [];
	const next = definition.shape?.[first] ?? definition.valueType ?? definition.element;
	return next ? keysAt(next, rest) : [];
}

export function invalidValue(message: string, place: ErrorPlace): HeadraceError {
	return new HeadraceError("E_INVALID_VALUE", message, place);
}
