import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import {
	type Column,
	columnList,
	columnOf,
	encodeName,
	engineType,
	type Grant,
	type Table,
	typeOf,
} from "./catalog.ts";
import { alreadyThere, noPrivilege, notModelled, notThere, Refused } from "./errors.ts";
import { Reader, type Token, unexpected } from "./lexer.ts";
import { type ResultSet, statusResult } from "./result.ts";
import type { SessionState } from "./session.ts";

const DEFINITIONS = new Set(["CREATE", "DROP", "ALTER", "COMMENT", "TRUNCATE", "GRANT"]);

export function isDefinition(first: string): boolean {
	return DEFINITIONS.has(first);
}

type Translate = (tokens: readonly Token[], uses: (table: Table) => void) => string;

/** DDL: changes the catalog and what is behind it; committed at once. */
export async function defineStatement(
	session: SessionState,
	tokens: readonly Token[],
	translated: Translate,
): Promise<ResultSet> {
	const reader = new Reader(tokens);
	const verb = reader.name();
	const definer = new Definer(session, reader, translated);
	switch (verb) {
		case "CREATE":
			return definer.create();
		case "DROP":
			return definer.drop();
		case "ALTER":
			return definer.alter();
		case "COMMENT":
			return definer.comment();
		case "TRUNCATE":
			return definer.truncate();
		default:
			return definer.grant();
	}
}

class Definer {
	readonly #session: SessionState;
	readonly #reader: Reader;
	readonly #translated: Translate;

	constructor(session: SessionState, reader: Reader, translated: Translate) {
		this.#session = session;
		this.#reader = reader;
		this.#translated = translated;
	}

	get #catalog() {
		return this.#session.world.catalog;
	}

	async create(): Promise<ResultSet> {
		const reader = this.#reader;
		if (reader.take("OR", "REPLACE")) throw notModelled("CREATE OR REPLACE");
		const temporary = reader.take("TEMPORARY") || reader.take("TEMP");
		reader.take("TRANSIENT");
		const kind = reader.name();
		const ifNotExists = reader.take("IF", "NOT", "EXISTS");
		if (kind === "SCHEMA") return this.#createSchema(reader.path().at(-1)!, ifNotExists);
		if (kind === "STAGE") return this.#createStage(reader.path(), ifNotExists);
		if (kind !== "TABLE") throw notModelled(`CREATE ${kind}`);
		return this.#createTable(temporary, ifNotExists);
	}

	#createSchema(name: string, ifNotExists: boolean): ResultSet {
		const { role, world } = this.#session;
		if (this.#catalog.schemas.has(name)) {
			if (ifNotExists) return statusResult(`${name} already exists, statement succeeded.`);
			throw alreadyThere(name);
		}
		// https://docs.snowflake.com/en/user-guide/security-access-control-privileges#database-privileges
		const rights = world.roles.get(role)?.database ?? [];
		if (!rights.includes("CREATE SCHEMA") && !rights.includes("OWNERSHIP"))
			throw noPrivilege("database", this.#catalog.database);
		this.#catalog.schemas.set(name, { owner: role, grants: [] });
		return statusResult(`Schema ${name} successfully created.`);
	}

	async #createStage(path: string[], ifNotExists: boolean): Promise<ResultSet> {
		const key = this.#catalog.key(path, this.#session.schema);
		if (this.#catalog.stages.has(key)) {
			if (ifNotExists) return statusResult("already exists, statement succeeded.");
			throw alreadyThere(path.join("."));
		}
		const options: Record<string, string> = {};
		while (!this.#reader.done) {
			const name = this.#reader.name();
			this.#reader.expect("=");
			options[name] = this.#reader.next().text;
		}
		const { URL: url, STORAGE_INTEGRATION: integration } = options;
		const { role, world } = this.#session;
		if (integration !== undefined && !(world.roles.get(role)?.integrations ?? []).includes(integration))
			throw notThere("Integration", integration);
		const folder = join(world.folder, `stage-${this.#catalog.physical()}`);
		await mkdir(folder, { recursive: true });
		this.#catalog.stages.set(key, {
			name: path.at(-1)!,
			folder,
			...(url === undefined ? {} : { url: url.endsWith("/") ? url : `${url}/` }),
			...(integration === undefined ? {} : { integration }),
		});
		return statusResult(`Stage area ${path.at(-1)} successfully created.`);
	}

	async #createTable(temporary: boolean, ifNotExists: boolean): Promise<ResultSet> {
		const reader = this.#reader;
		const { connection, schema } = this.#session;
		const path = reader.path();
		const key = this.#catalog.key(path, schema);
		if (!temporary) this.#mayCreate(JSON.parse(key)[0] as string);
		const there = temporary ? this.#session.temporary.has(key) : this.#catalog.tables.has(key);
		if (there && ifNotExists) return statusResult(`${path.at(-1)} already exists, statement succeeded.`);
		if (there) throw alreadyThere(path.join("."));
		const table: Table = {
			physical: this.#catalog.physical(),
			columns: [],
			primaryKey: [],
			comment: "",
			owner: this.#session.role,
			temporary,
			grants: [],
			loaded: new Set(),
		};
		const create = `CREATE ${temporary ? "TEMPORARY " : ""}TABLE ${table.physical}`;
		if (reader.take("AS")) {
			await connection.execute(`${create} AS ${this.#translated(reader.rest(), () => {})}`);
			table.columns = await this.#columnsOf(table.physical);
		} else {
			if (reader.take("LIKE")) this.#like(table, reader.path(), reader.take("COPY", "GRANTS"));
			else {
				const list = columnList(reader.group(), (tokens) => this.#translated(tokens, () => {}));
				table.columns = list.columns;
				table.primaryKey = list.primaryKey;
			}
			if (!reader.done) throw unexpected(reader.next().text);
			await connection.execute(`${create} (${table.columns.map(columnSql).join(", ")})`);
		}
		if (temporary) this.#session.temporary.set(key, table);
		else this.#catalog.addTable(key, table);
		return statusResult(`Table ${path.at(-1)} successfully created.`);
	}

	/** https://docs.snowflake.com/en/sql-reference/sql/create-table#create-table-like: columns with defaults and keys; grants by COPY GRANTS only. */
	#like(table: Table, path: readonly string[], copyGrants: boolean): void {
		const from = this.#table(path);
		table.columns = from.columns.map((column) => ({ ...column }));
		table.primaryKey = [...from.primaryKey];
		if (!copyGrants) return;
		// All but ownership: the former owner keeps nothing that was not granted.
		table.grants = from.grants.map((grant) => ({ ...grant }));
	}

	/** Columns of a table that a SELECT made. */
	async #columnsOf(physical: string): Promise<Column[]> {
		const rows = await this.#session.connection.query(`DESCRIBE ${physical}`);
		return rows.map((row) => {
			const engine = String(row["column_type"]);
			const label = String(row["column_name"]);
			const name = /~[0-9a-f]+$/.test(label) ? label.replace(/~[0-9a-f]+$/, "") : label.toUpperCase();
			return { name, type: snowflakeType(engine), nullable: true };
		});
	}

	#mayCreate(schema: string): void {
		const { role } = this.#session;
		const found = this.#catalog.schemas.get(schema)!;
		const granted = found.grants.some(
			(grant) => (grant.role === role || grant.role === "PUBLIC") && ["CREATE TABLE", "ALL"].includes(grant.privilege),
		);
		if (found.owner !== role && !granted && role !== "ACCOUNTADMIN") throw noPrivilege("schema", schema);
	}

	#key(path: readonly string[]): { key: string; table: Table; map: Map<string, Table> } {
		const key = this.#catalog.key(path, this.#session.schema);
		const map = this.#session.temporary.has(key) ? this.#session.temporary : this.#catalog.tables;
		const table = map.get(key);
		if (table === undefined) throw notThere("Table", path.join("."));
		return { key, table, map };
	}

	#table(path: readonly string[]): Table {
		return this.#key(path).table;
	}

	#owned(path: readonly string[]): { key: string; table: Table; map: Map<string, Table> } {
		const found = this.#key(path);
		const { role } = this.#session;
		if (found.table.owner !== role && role !== "ACCOUNTADMIN") throw noPrivilege("table", path.at(-1)!);
		return found;
	}

	async drop(): Promise<ResultSet> {
		const reader = this.#reader;
		const kind = reader.name();
		if (kind !== "TABLE") throw notModelled(`DROP ${kind}`);
		const ifExists = reader.take("IF", "EXISTS");
		const path = reader.path();
		try {
			const { key, table, map } = this.#owned(path);
			map.delete(key);
			await this.#session.connection.execute(`DROP TABLE ${table.physical}`);
		} catch (error) {
			if (!ifExists || !(error instanceof Refused) || error.code !== "002003") throw error;
			return statusResult("Drop statement executed successfully, already dropped.");
		}
		return statusResult(`${path.at(-1)} successfully dropped.`);
	}

	async alter(): Promise<ResultSet> {
		const reader = this.#reader;
		reader.expect("TABLE");
		const path = reader.path();
		const { key, table, map } = this.#owned(path);
		if (reader.take("SWAP", "WITH")) {
			// Contents and metadata, grants too: the two are renamed in one transaction.
			const other = this.#owned(reader.path());
			if (map !== other.map) throw notModelled("SWAP of a temporary table");
			map.set(key, other.table);
			map.set(other.key, table);
			return statusResult();
		}
		if (reader.take("RENAME", "TO")) {
			const to = this.#catalog.key(reader.path(), this.#session.schema);
			if (map.has(to)) throw alreadyThere(to);
			map.delete(key);
			map.set(to, table);
			return statusResult();
		}
		await this.#alterColumns(table);
		return statusResult();
	}

	async #alterColumns(table: Table): Promise<void> {
		const reader = this.#reader;
		const { connection } = this.#session;
		const execute = (sql: string) => connection.execute(`ALTER TABLE ${table.physical} ${sql}`);
		if (reader.take("ADD", "COLUMN")) {
			const { column } = columnOf(new Reader(reader.rest()), (tokens) => this.#translated(tokens, () => {}));
			if (table.columns.some(({ name }) => name === column.name))
				throw new Refused("001430", "42601", `SQL compilation error:\nambiguous column name '${column.name}'`);
			if (!column.nullable && column.defaultSql === undefined) {
				const [row] = await connection.query(`SELECT count(*) AS n FROM ${table.physical}`);
				if (Number(row!["n"]) > 0)
					throw new Refused(
						"002128",
						"23001",
						`SQL compilation error:\nNon-nullable column '${column.name}' cannot be added to non-empty table '${table.physical}' unless it has a non-null default value.`,
					);
			}
			await execute(`ADD COLUMN ${columnSql({ ...column, nullable: true })}`);
			if (!column.nullable) await execute(`ALTER COLUMN ${encodeName(column.name)} SET NOT NULL`);
			table.columns.push(column);
			return;
		}
		if (reader.take("DROP", "COLUMN")) {
			const column = columnNamed(table, reader.name());
			await execute(`DROP COLUMN ${encodeName(column.name)}`);
			table.columns = table.columns.filter((other) => other !== column);
			table.primaryKey = table.primaryKey.filter((name) => name !== column.name);
			return;
		}
		if (reader.take("RENAME", "COLUMN")) {
			const column = columnNamed(table, reader.name());
			reader.expect("TO");
			const name = reader.name();
			await execute(`RENAME COLUMN ${encodeName(column.name)} TO ${encodeName(name)}`);
			table.primaryKey = table.primaryKey.map((key) => (key === column.name ? name : key));
			column.name = name;
			return;
		}
		reader.expect("ALTER", "COLUMN");
		const column = columnNamed(table, reader.name());
		if (reader.take("DROP", "NOT", "NULL")) {
			await execute(`ALTER COLUMN ${encodeName(column.name)} DROP NOT NULL`);
			column.nullable = true;
		} else if (reader.take("SET", "NOT", "NULL")) {
			await execute(`ALTER COLUMN ${encodeName(column.name)} SET NOT NULL`);
			column.nullable = false;
		} else if (reader.take("SET", "DATA", "TYPE")) {
			const type = typeOf(reader.rest());
			if (!maySetType(column.type, type))
				throw new Refused(
					"002108",
					"22000",
					`SQL compilation error: cannot change column ${column.name} from type ${column.type} to ${type}`,
				);
			if (engineType(type) !== engineType(column.type))
				await execute(`ALTER COLUMN ${encodeName(column.name)} SET DATA TYPE ${engineType(type)}`);
			column.type = type;
		} else throw unexpected(reader.next().text);
	}

	comment(): ResultSet {
		const reader = this.#reader;
		reader.expect("ON", "TABLE");
		const { table } = this.#owned(reader.path());
		reader.expect("IS");
		table.comment = reader.string();
		return statusResult();
	}

	/** Drops the load metadata as well: https://docs.snowflake.com/en/sql-reference/sql/truncate-table */
	async truncate(): Promise<ResultSet> {
		const reader = this.#reader;
		reader.take("TABLE");
		const { table } = this.#owned(reader.path());
		await this.#session.connection.execute(`DELETE FROM ${table.physical}`);
		table.loaded.clear();
		return statusResult();
	}

	/** `GRANT p [, p] ON TABLE t TO ROLE r` */
	grant(): ResultSet {
		const reader = this.#reader;
		const privileges: string[] = [];
		do {
			const words = [reader.name()];
			while (!reader.at("ON") && !reader.at(",")) words.push(reader.name());
			privileges.push(words.join(" "));
		} while (reader.take(","));
		reader.expect("ON");
		const kind = reader.name();
		const path = reader.path();
		reader.expect("TO", "ROLE");
		const role = reader.name();
		const grants: Grant[] = privileges.map((privilege) => ({ privilege, role }));
		if (kind === "TABLE") this.#owned(path).table.grants.push(...grants);
		else if (kind === "SCHEMA") {
			const schema = this.#catalog.schemas.get(path.at(-1)!);
			if (schema === undefined) throw notThere("Schema", path.join("."));
			schema.grants.push(...grants);
		} else throw notModelled(`GRANT ON ${kind}`);
		return statusResult();
	}
}

function columnNamed(table: Table, name: string): Column {
	const column = table.columns.find((other) => other.name === name);
	if (column === undefined)
		throw new Refused("000904", "42000", `SQL compilation error:\ncolumn ${name} does not exist`);
	return column;
}

function columnSql({ name, type, nullable, defaultSql }: Column): string {
	const filled = defaultSql === undefined ? "" : ` DEFAULT ${defaultSql}`;
	return `${encodeName(name)} ${engineType(type)}${nullable ? "" : " NOT NULL"}${filled}`;
}

/** https://docs.snowflake.com/en/sql-reference/sql/alter-table-column: a longer text, more digits; the scale stays. */
function maySetType(from: string, to: string): boolean {
	const numbers = (type: string) => (type.match(/\d+/g) ?? []).map(Number);
	const [before, after] = [numbers(from), numbers(to)];
	const kind = (type: string) => type.replace(/\(.*/, "");
	if (kind(from) !== kind(to)) return false;
	if (kind(from) === "NUMBER") return before[1] === after[1] && after[0]! >= before[0]!;
	return kind(from) === "VARCHAR" ? after[0]! >= before[0]! : from === to;
}

function snowflakeType(engine: string): string {
	if (engine.startsWith("DECIMAL")) return engine.replace("DECIMAL", "NUMBER");
	if (/INT$|^INTEGER$|^HUGEINT$/.test(engine)) return "NUMBER(38,0)";
	if (engine === "DOUBLE" || engine === "FLOAT") return "FLOAT";
	if (engine === "BLOB") return "BINARY(8388608)";
	if (engine === "TIMESTAMP") return "TIMESTAMP_NTZ(9)";
	if (engine.startsWith("TIMESTAMP WITH")) return "TIMESTAMP_TZ(9)";
	if (engine === "TIME") return "TIME(9)";
	if (engine === "JSON") return "VARIANT";
	return engine === "VARCHAR" ? "VARCHAR(16777216)" : engine;
}
