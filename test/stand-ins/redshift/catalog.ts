import type { TextClient } from "../../support/client.ts";

/**
 * What a database of the backend needs to look like one of Redshift: types and functions that PostgreSQL has not, and
 * the system views that a loader reads. They are in pg_catalog, so that no search_path matters.
 */
export async function installCatalog(client: TextClient): Promise<void> {
	const [there] = await client.query("select 1 from pg_catalog.pg_class where relname = 'stl_load_errors'");
	if (there !== undefined) return;
	await client.query("set allow_system_table_mods = on; set standard_conforming_strings = on");
	for (const statement of STATEMENTS) await client.query(statement);
}

/** The backend's domain of a type with a length in bytes. Two that make the same one at once make it once. */
export async function ensureDomain(
	client: TextClient,
	{ kind, bytes }: { readonly kind: "varchar" | "varbyte"; readonly bytes: number },
): Promise<void> {
	await client.query(
		`do $$ begin
			create domain pg_catalog.rs_${kind}_${bytes} as ${kind === "varchar" ? "text" : "bytea"}
				constraint rs_bytes_max check (octet_length(value) <= ${bytes});
		exception when duplicate_object or unique_violation then null; end $$`,
	);
}

const STATEMENTS: readonly string[] = [
	"create domain pg_catalog.super as jsonb",
	// https://docs.aws.amazon.com/redshift/latest/dg/JSON_PARSE.html
	"create function pg_catalog.json_parse(t text) returns pg_catalog.super language sql immutable strict as $$ select t::jsonb $$",
	"create function pg_catalog.json_serialize(d pg_catalog.super) returns text language sql immutable strict as $$ select d::jsonb::text $$",
	"create function pg_catalog.json_serialize_to_varbyte(d pg_catalog.super) returns bytea language sql immutable strict as $$ select convert_to(d::jsonb::text, 'UTF8') $$",
	// https://docs.aws.amazon.com/redshift/latest/dg/FROM_HEX.html
	"create function pg_catalog.from_hex(t text) returns bytea language sql immutable strict as $$ select decode(t, 'hex') $$",
	"create function pg_catalog.to_hex(b bytea) returns text language sql immutable strict as $$ select encode(b, 'hex') $$",
	"create function pg_catalog.getdate() returns timestamp language sql stable as $$ select date_trunc('second', transaction_timestamp() at time zone 'UTC') $$",
	"create function pg_catalog.len(t text) returns int language sql immutable strict as $$ select length(t) $$",
	"create function pg_catalog.rs_version() returns text language sql immutable as $$ select 'PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2 20041017 (Red Hat 3.4.2-6.fc3), Redshift 1.0.0-stand-in'::text $$",
	`create function pg_catalog.rs_format_type(type oid, modifier int) returns text language sql stable as $$
		select case
			when t.typname like 'rs\\_varchar\\_%' then 'character varying(' || substr(t.typname, 12) || ')'
			when t.typname like 'rs\\_varbyte\\_%' then 'binary varying(' || substr(t.typname, 12) || ')'
			else format_type($1, $2) end
		from pg_type t where t.oid = $1 $$`,
	`create function pg_catalog.rs_check_widening(tbl text, col text, bytes int) returns void language plpgsql as $$
		declare was text;
		begin
			select t.typname into was from pg_attribute a join pg_type t on t.oid = a.atttypid
				where a.attrelid = tbl::regclass and a.attname = col;
			if was is null or was not like 'rs\\_varchar\\_%' then raise exception 'ALTER COLUMN TYPE is for VARCHAR columns only' using errcode = '0A000'; end if;
			if substr(was, 12)::int > bytes then raise exception 'target data type varchar(%) is shorter than the values may be', bytes using errcode = '0A000'; end if;
		end $$`,
	"create function pg_catalog.pg_last_copy_count() returns bigint language sql stable as $$ select coalesce(nullif(current_setting('rs.last_copy_count', true), ''), '0')::bigint $$",
	// https://docs.aws.amazon.com/redshift/latest/dg/r_STL_LOAD_ERRORS.html
	`create table pg_catalog.stl_load_errors (userid int, slice int, tbl int, starttime timestamp, session int, query int,
		filename char(256), line_number bigint, colname char(127), type char(10), col_length char(10), position int,
		raw_line char(1024), raw_field_value char(1024), err_code int, err_reason char(100))`,
	// https://docs.aws.amazon.com/redshift/latest/dg/SYS_LOAD_ERROR_DETAIL.html
	`create table pg_catalog.sys_load_error_detail (user_id int, query_id bigint, transaction_id bigint, session_id int,
		database_name text, table_id int, start_time timestamp, file_name text, line_number bigint, column_name text,
		column_type text, column_length text, "position" int, error_code int, error_message text)`,
	"create table pg_catalog.rs_layout (name text primary key, diststyle text, sortkey text)",
	// https://docs.aws.amazon.com/redshift/latest/dg/r_SVV_TABLE_INFO.html
	`create view pg_catalog.svv_table_info as
		select current_database()::text as "database", n.nspname::text as "schema", c.oid::int as table_id,
			c.relname::text as "table", coalesce(l.diststyle, 'AUTO(ALL)') as diststyle,
			coalesce(l.sortkey, 'AUTO(SORTKEY)') as sortkey1, c.reltuples::bigint as tbl_rows
		from pg_class c join pg_namespace n on n.oid = c.relnamespace
			left join pg_catalog.rs_layout l on l.name = n.nspname || '.' || c.relname
		where c.relkind = 'r' and n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema'`,
	// https://docs.aws.amazon.com/redshift/latest/dg/r_SVV_RELATION_PRIVILEGES.html
	`create view pg_catalog.svv_relation_privileges as
		select n.nspname::text as namespace_name, c.relname::text as relation_name, a.privilege_type::text as privilege_type,
			a.grantee as identity_id, coalesce(r.rolname::text, 'public') as identity_name,
			case when a.grantee = 0 then 'public' else 'user' end as identity_type, a.is_grantable as admin_option
		from pg_class c join pg_namespace n on n.oid = c.relnamespace, aclexplode(c.relacl) a
			left join pg_roles r on r.oid = a.grantee
		where a.grantee <> c.relowner and a.privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'REFERENCES')`,
	// https://docs.aws.amazon.com/redshift/latest/dg/r_SVV_IAM_PRIVILEGES.html: at first, everyone may use every role.
	`create table pg_catalog.svv_iam_privileges (iam_arn text, command_type text, identity_id int, identity_name text, identity_type text)`,
	"insert into pg_catalog.svv_iam_privileges values ('ALL', 'ALL', 0, 'public', 'public')",
	...[
		"stl_load_errors",
		"sys_load_error_detail",
		"svv_table_info",
		"svv_relation_privileges",
		"svv_iam_privileges",
	].map((name) => `grant select on pg_catalog.${name} to public`),
];
