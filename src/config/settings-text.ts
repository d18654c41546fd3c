import { stringify } from "yaml";
import { readText } from "./read-text.ts";
import { parseYaml } from "./yaml-file.ts";

const SECRET_KEY = /password|passwd|passphrase|secret|token|private_key/i;

/**
 * A pipeline file's settings as YAML to be shown: without its comments, which may hold anything, every text through
 * `redact`, and without what stands under the name of a secret unless it is a reference.
 * @throws HeadraceErrors when the file can't be read
 */
export function settingsText(file: string, redact: (text: string) => string): string {
	const settings = parseYaml(readText(file), file).value;
	return stringify(masked(settings, redact, false), { lineWidth: 0, version: "1.2", aliasDuplicateObjects: false });
}

function masked(value: unknown, redact: (text: string) => string, isSecret: boolean): unknown {
	if (Array.isArray(value)) return value.map((item) => masked(item, redact, isSecret));
	if (typeof value === "object" && value !== null)
		return Object.fromEntries(
			Object.entries(value).map(([key, item]) => [redact(key), masked(item, redact, isSecret || SECRET_KEY.test(key))]),
		);
	if (isSecret && value !== null && !/^\$\{(?:env|file):[^}]+\}$/.test(String(value))) return "***";
	return typeof value === "string" ? redact(value) : value;
}
