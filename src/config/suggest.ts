import leven from "leven";

/** Words longer than this are not compared: no one mistypes them, and the comparison costs length × length. */
const WORD_LENGTH_MAX = 100;

/**
 * The known word that was probably meant, or undefined. `aliases` are words of other tools that mean a known word here
 * (`update_key` → `cursor`); a mistyped alias counts too.
 */
export function nearest(
	word: string,
	known: Iterable<string>,
	aliases: Readonly<Record<string, string>> = {},
): string | undefined {
	if (word.length > WORD_LENGTH_MAX) return undefined;
	const plain = normal(word);
	const words = [...known];
	const candidates = new Map<string, string>(words.map((each) => [normal(each), each]));
	for (const [alias, meaning] of Object.entries(aliases))
		if (words.includes(meaning) && !candidates.has(alias)) candidates.set(alias, meaning);
	let best: string | undefined;
	let bestDistance = Number.POSITIVE_INFINITY;
	for (const [candidate, meaning] of candidates) {
		if (candidate.length > WORD_LENGTH_MAX) continue;
		const distance = leven(plain, candidate);
		// Two letters that changed places count as two edits; in a short word that is still one slip.
		const slip = distance === 2 && sorted(plain) === sorted(candidate);
		const allowed = slip ? 2 : Math.max(1, Math.floor(Math.max(plain.length, candidate.length) / 3));
		if (distance <= allowed && distance < bestDistance) {
			best = meaning;
			bestDistance = distance;
		}
	}
	return best;
}

function normal(word: string): string {
	return word.toLowerCase().replaceAll("-", "_");
}

function sorted(word: string): string {
	return [...word].sort().join("");
}

/** `; did you mean "x"?`, or the fallback. */
export function didYouMean(
	word: string,
	known: Iterable<string>,
	aliases: Readonly<Record<string, string>> = {},
	fallback = "",
): string {
	const best = nearest(word, known, aliases);
	return best === undefined ? fallback : `; did you mean ${JSON.stringify(best)}?`;
}

/** Keys that other tools use for what is a key of the pipeline file or a table here. */
export const KEY_ALIASES: Readonly<Record<string, string>> = {
	update_key: "cursor",
	incremental_key: "cursor",
	replication_key: "cursor",
	cursor_field: "cursor",
	cursor_column: "cursor",
	watermark: "cursor",
	primary_key: "key",
	primary_keys: "key",
	unique_key: "key",
	merge_key: "key",
	keys: "key",
	pk: "key",
	source: "from",
	src: "from",
	target: "to",
	destination: "to",
	sink: "to",
	dest: "to",
	streams: "tables",
	stage: "staging",
	object: "into",
	target_table: "into",
	write_disposition: "write",
	write_mode: "write",
	strategy: "write",
	load_method: "write",
	replication_mode: "mode",
	sync_mode: "mode",
	sql: "query",
	filter: "where",
	lag: "late",
	lookback: "overlap",
	soft_delete: "deletes",
	hard_delete: "deletes",
	is_deleted: "deleted",
	deleted_flag: "deleted",
	cron: "schedule",
	schedule_interval: "schedule",
	start_date: "start",
	tz: "timezone",
	time_zone: "timezone",
	threads: "concurrency",
	parallelism: "concurrency",
	parallel: "concurrency",
	name: "pipeline",
	id: "pipeline",
	vars: "params",
	variables: "params",
	schema_evolution: "schema_changes",
	on_schema_change: "schema_changes",
	tests: "checks",
	models: "summaries",
	transforms: "summaries",
	aggregates: "summaries",
	depends: "depends_on",
	deps: "depends_on",
	pre_hook: "before",
	post_hook: "after",
	pre_sql: "before",
	post_sql: "after",
	accepted_values: "accepted",
	values: "accepted",
	between: "range",
	fresh: "freshness",
	max_age: "freshness",
	level: "severity",
	nulls: "not_null",
	hash: "mask",
	redact: "mask",
	invalid_dates: "zero_date",
	overflow: "out_of_range",
	invalid_utf8: "invalid_text",
	as: "rename",
	notifications: "alerts",
	alarms: "alerts",
	on_failure: "alerts",
	freshness: "late_after",
	sla: "late_after",
	webhook_url: "url",
	webhook: "url",
	events: "on",
	cooldown: "cool_down",
	recipients: "to",
	sender: "from",
	username: "user",
	hostname: "host",
	pass: "password",
};

/** Keys that other tools and URLs use for what is a key of a connection here. */
export const CONNECTION_ALIASES: Readonly<Record<string, string>> = {
	username: "user",
	login: "user",
	pass: "password",
	passwd: "password",
	pwd: "password",
	hostname: "host",
	server: "host",
	address: "host",
	db: "database",
	dbname: "database",
	ssl: "tls",
	sslmode: "tls",
	ssl_mode: "tls",
	encrypt: "tls",
	sslrootcert: "ca",
	ca_cert: "ca",
	aws_access_key_id: "access_key_id",
	aws_secret_access_key: "secret_access_key",
	aws_region: "region",
	endpoint_url: "endpoint",
	force_path_style: "path_style",
	file: "path",
	folder: "path",
	kms_key_id: "kms_key",
	kind: "type",
};
