import { CONNECTION_TYPES } from "./connection-types.ts";
import type { ConnectionType } from "./pipeline.ts";

/** Keys that say what is written and where in the system; all others say how the system is reached. */
const KEPT = new Set(["path", "bucket", "prefix", "schema", "format", "maintain", "glue", "partition_by", "retention"]);
const MADE_UP = "stand-in";

/** A connection's keys without what only the real system needs: no secret is kept, and no reference to one. */
export function withoutSecrets(
	type: ConnectionType,
	fields: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
	const rules = CONNECTION_TYPES[type].fields;
	const kept: Record<string, unknown> = {};
	for (const [key, value] of Object.entries(fields)) {
		const rule = Object.hasOwn(rules, key) ? rules[key] : undefined;
		if (rule?.kind === "secret") continue;
		const isReference = typeof value === "string" && value.includes("${") && rule !== undefined && !KEPT.has(key);
		if (!isReference) kept[key] = value;
		else if (rule.required === true) kept[key] = MADE_UP;
	}
	return kept;
}

/** The same of an address: what is in it by reference is made up, but for a bucket and the path in it. */
export function addressWithoutSecrets(type: ConnectionType, address: string): string {
	const text = address.replace(/\?(.*)$/s, (_all, options: string) => {
		const kept = options.split("&").filter((option) => !option.includes("${"));
		return kept.length === 0 ? "" : `?${kept.join("&")}`;
	});
	if (type === "s3" || type === "lake") return text;
	return text
		.replace(/^([^:]+:\/\/)(?:\$\{[^}]*\}|[^@?/$])*@/, `$1${MADE_UP}@`)
		.replace(/:\$\{[^}]*\}(?=\/|\?|$)/, "")
		.replaceAll(/\$\{[^}]*\}/g, MADE_UP);
}
