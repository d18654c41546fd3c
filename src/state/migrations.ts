/**
 * The tables of a project's state, in SQLite's words; `postgres-schema.ts` puts them into PostgreSQL's. Step n takes a
 * store from version n to n + 1. A step that was released is never edited: add the next one.
 */
export const MIGRATIONS: readonly string[] = [
	`
	CREATE TABLE runs (
		run_id TEXT PRIMARY KEY,
		pipeline TEXT NOT NULL,
		interval_start TEXT,
		interval_end TEXT,
		state TEXT NOT NULL,
		started_at TEXT NOT NULL,
		finished_at TEXT,
		holder TEXT NOT NULL
	) STRICT;
	CREATE INDEX runs_by_pipeline ON runs (pipeline, started_at);
	CREATE INDEX runs_by_start ON runs (started_at);
	CREATE INDEX runs_unfinished ON runs (run_id) WHERE state = 'running';
	CREATE TABLE table_receipts (
		run_id TEXT NOT NULL REFERENCES runs (run_id) ON DELETE CASCADE,
		ordinal INTEGER NOT NULL,
		table_name TEXT NOT NULL,
		state TEXT NOT NULL,
		receipt TEXT NOT NULL,
		PRIMARY KEY (run_id, ordinal)
	) STRICT, WITHOUT ROWID;
	CREATE TABLE log_lines (
		line_id INTEGER PRIMARY KEY,
		run_id TEXT NOT NULL,
		logged_at TEXT NOT NULL,
		level TEXT NOT NULL,
		task TEXT,
		message TEXT NOT NULL
	) STRICT;
	CREATE INDEX log_lines_by_run ON log_lines (run_id, line_id);
	CREATE TABLE leases (
		name TEXT PRIMARY KEY,
		epoch INTEGER NOT NULL,
		holder TEXT,
		expires_ms INTEGER NOT NULL,
		boot_id TEXT,
		expires_uptime_ms INTEGER
	) STRICT, WITHOUT ROWID;
	CREATE TABLE positions (
		pipeline TEXT NOT NULL,
		stream TEXT NOT NULL,
		position TEXT,
		load_id TEXT,
		committed_at TEXT,
		PRIMARY KEY (pipeline, stream)
	) STRICT, WITHOUT ROWID;
	`,
	`
	ALTER TABLE runs ADD COLUMN details TEXT;
	CREATE TABLE alerts (
		pipeline TEXT NOT NULL,
		channel TEXT NOT NULL,
		event TEXT NOT NULL,
		table_name TEXT NOT NULL,
		code TEXT NOT NULL,
		entry TEXT NOT NULL,
		PRIMARY KEY (pipeline, channel, event, table_name, code)
	) STRICT, WITHOUT ROWID;
	`,
	`
	CREATE TABLE schedules (
		pipeline TEXT PRIMARY KEY,
		due_ms INTEGER,
		paused_at TEXT,
		paused_by TEXT,
		pause_reason TEXT
	) STRICT, WITHOUT ROWID;
	CREATE TABLE jobs (
		job_id TEXT PRIMARY KEY,
		ended INTEGER NOT NULL,
		queued_at TEXT NOT NULL,
		entry TEXT NOT NULL
	) STRICT, WITHOUT ROWID;
	CREATE INDEX jobs_open ON jobs (queued_at) WHERE ended = 0;
	CREATE TABLE table_columns (
		pipeline TEXT NOT NULL,
		table_name TEXT NOT NULL,
		seen_at TEXT NOT NULL,
		entry TEXT NOT NULL,
		PRIMARY KEY (pipeline, table_name)
	) STRICT, WITHOUT ROWID;
	CREATE TABLE api_tokens (
		token_id TEXT PRIMARY KEY,
		hash TEXT NOT NULL UNIQUE,
		name TEXT NOT NULL,
		role TEXT NOT NULL,
		created_at TEXT NOT NULL,
		created_by TEXT NOT NULL,
		last_used_at TEXT,
		expires_at TEXT,
		revoked_at TEXT
	) STRICT, WITHOUT ROWID;
	CREATE TABLE sessions (
		hash TEXT PRIMARY KEY,
		name TEXT NOT NULL,
		role TEXT NOT NULL,
		token_id TEXT,
		expires_at TEXT NOT NULL
	) STRICT, WITHOUT ROWID;
	CREATE TABLE audit (
		audit_id INTEGER PRIMARY KEY AUTOINCREMENT,
		at TEXT NOT NULL,
		entry TEXT NOT NULL
	) STRICT;
	CREATE INDEX runs_by_interval ON runs (pipeline, interval_start) WHERE interval_start IS NOT NULL;
	`,
	`
	CREATE TABLE change_requests (
		request_id INTEGER PRIMARY KEY AUTOINCREMENT,
		pipeline TEXT NOT NULL,
		asked_at TEXT NOT NULL,
		request TEXT NOT NULL,
		is_taken INTEGER NOT NULL,
		answer TEXT
	) STRICT;
	`,
	`
	ALTER TABLE runs ADD COLUMN boot_id TEXT;
	ALTER TABLE runs ADD COLUMN lease_name TEXT;
	ALTER TABLE runs ADD COLUMN lease_epoch INTEGER;
	ALTER TABLE jobs ADD COLUMN cancelled_by TEXT;
	`,
	`
	CREATE TABLE pipeline_settings (
		pipeline TEXT NOT NULL,
		started_at TEXT NOT NULL,
		run_id TEXT NOT NULL,
		settings TEXT NOT NULL,
		PRIMARY KEY (pipeline, started_at)
	) STRICT, WITHOUT ROWID;
	`,
	// A history of 100,000 runs took seconds to look through for what is asked of it most.
	`
	CREATE TABLE table_successes (
		pipeline TEXT NOT NULL,
		table_name TEXT NOT NULL,
		interval_end TEXT NOT NULL,
		ended_at TEXT NOT NULL,
		is_interval INTEGER NOT NULL,
		PRIMARY KEY (pipeline, table_name, is_interval)
	) STRICT, WITHOUT ROWID;
	INSERT INTO table_successes (pipeline, table_name, interval_end, ended_at, is_interval)
		SELECT pipeline, table_name, interval_end, ended_at, CASE WHEN interval_end = '' THEN 0 ELSE 1 END
		FROM (
			SELECT pipeline, table_name, interval_end, ended_at, row_number() OVER (
				PARTITION BY pipeline, table_name, CASE WHEN interval_end = '' THEN 0 ELSE 1 END
				ORDER BY interval_end DESC, ended_at DESC) AS age
			FROM (
				SELECT r.pipeline AS pipeline, t.table_name AS table_name,
					CASE WHEN t.receipt ->> 'mode' = 'interval' THEN coalesce(r.interval_end, '') ELSE '' END AS interval_end,
					coalesce(r.finished_at, r.started_at) AS ended_at
				FROM table_receipts t JOIN runs r USING (run_id)
				WHERE t.state = 'succeeded' AND coalesce(r.details ->> 'stage', '') <> 'extract') AS successes) AS aged
		WHERE age = 1;
	CREATE INDEX jobs_ended ON jobs (queued_at, job_id) WHERE ended = 1;
	`,
	// The newest run of each table for each interval; and what is asked for among many runs that succeeded.
	`
	CREATE TABLE interval_runs (
		pipeline TEXT NOT NULL,
		interval_start TEXT NOT NULL,
		interval_end TEXT NOT NULL,
		table_name TEXT NOT NULL,
		started_at TEXT NOT NULL,
		run_id TEXT NOT NULL,
		PRIMARY KEY (pipeline, interval_start, interval_end, table_name)
	) STRICT, WITHOUT ROWID;
	INSERT INTO interval_runs (pipeline, interval_start, interval_end, table_name, started_at, run_id)
		SELECT pipeline, interval_start, interval_end, table_name, started_at, run_id
		FROM (
			SELECT r.pipeline AS pipeline, r.interval_start AS interval_start, r.interval_end AS interval_end,
				t.table_name AS table_name, r.started_at AS started_at, r.run_id AS run_id,
				row_number() OVER (PARTITION BY r.pipeline, r.interval_start, r.interval_end, t.table_name
					ORDER BY r.started_at DESC, r.run_id DESC) AS age
			FROM runs r JOIN table_receipts t USING (run_id)
			WHERE r.interval_start IS NOT NULL AND r.interval_end IS NOT NULL AND t.receipt ->> 'mode' = 'interval'
				AND coalesce(r.details ->> 'stage', '') <> 'extract') AS aged
		WHERE age = 1;
	DROP INDEX runs_by_interval;
	CREATE INDEX runs_unlike ON runs (state, started_at) WHERE state <> 'succeeded';
	CREATE INDEX runs_unlike_by_pipeline ON runs (pipeline, state, started_at) WHERE state <> 'succeeded';
	ALTER TABLE runs ADD COLUMN rows_loaded INTEGER;
	ALTER TABLE runs ADD COLUMN bytes INTEGER;
	ALTER TABLE runs ADD COLUMN tables_ms INTEGER;
	UPDATE runs SET rows_loaded = sums.rows_loaded, bytes = sums.bytes, tables_ms = sums.tables_ms
		FROM (
			SELECT run_id, sum(CAST(receipt ->> 'rows_loaded' AS INTEGER)) AS rows_loaded,
				sum(CAST(receipt ->> 'bytes' AS INTEGER)) AS bytes,
				sum(CAST(1000 * CAST(receipt ->> 'seconds' AS DOUBLE PRECISION) AS INTEGER)) AS tables_ms
			FROM table_receipts GROUP BY run_id) AS sums
		WHERE sums.run_id = runs.run_id;
	`,
];

/** The version this program writes. */
export const SCHEMA_VERSION: number = MIGRATIONS.length;
