import type { Socket } from "node:net";
import pg from "pg";
import type { TextClient } from "../../support/client.ts";
import { ensureDomain } from "./catalog.ts";
import { copyFromS3, LoadFailure } from "./copy.ts";
import { readCopy } from "./copy-options.ts";
import { alterTable, createTable, type Ddl, readName } from "./ddl.ts";
import { RedshiftError, unsupported } from "./errors.ts";
import type { FaultEffect, FaultPlan } from "./faults.ts";
import { significant, statementsOf, type Token, textOf } from "./lexer.ts";
import { isRowStatement, refuseUnsupported, rewritten } from "./rules.ts";
import type { S3Reader } from "./s3-reader.ts";
import { unload } from "./unload.ts";
import * as wire from "./wire.ts";

export interface Backend {
	readonly host: string;
	readonly port: number;
	readonly database: string;
	/** A connection of an administrator to the database. */
	readonly admin: TextClient;
}

/** What sessions share. */
export interface Warehouse {
	readonly backend: Backend;
	readonly faults: FaultPlan;
	/** Every statement that came, as it came. */
	readonly log: string[];
	readonly domains: Set<string>;
	/** S3 with the rights of a role. @throws RedshiftError when the role may not be used */
	s3As(role: string, user: string): Promise<S3Reader>;
}

/** The connection is cut on purpose. */
class Cut extends Error {}

/** One client's connection: terminates the protocol, and asks a connection of its own to the backend. */
export class ProxySession {
	readonly #socket: Socket;
	readonly #warehouse: Warehouse;
	readonly #reader = new wire.MessageReader();
	#client: pg.Client | null = null;
	#user = "";
	#status = "I";
	#failed = false;
	#work: Promise<void> = Promise.resolve();
	#started = false;

	constructor(socket: Socket, warehouse: Warehouse) {
		this.#socket = socket;
		this.#warehouse = warehouse;
		socket.on("error", () => {});
		socket.on("close", () => void this.#end());
		socket.on("data", (bytes: Buffer) => {
			this.#reader.push(bytes);
			this.#work = this.#work
				.then(() => this.#takeMessages())
				.catch((error: Error) => {
					if (!this.#socket.destroyed) process.emitWarning(`Redshift stand-in: ${error.stack}`);
					this.#cut();
				});
		});
	}

	async #takeMessages(): Promise<void> {
		while (!this.#started) {
			const startup = this.#reader.startup();
			if (startup === null) return;
			// SSLRequest: the stand-in has no certificate.
			if (startup.code === 80877103) this.#socket.write("N");
			else if (startup.code === 196608) {
				this.#user = wire.startupParameters(startup.body).get("user") ?? "";
				this.#started = true;
				this.#socket.write(wire.ASK_PASSWORD);
			} else return this.#cut();
		}
		for (let next = this.#reader.next(); next !== null; next = this.#reader.next()) {
			if (next.type === "p") await this.#login(next.body.toString("utf8", 0, next.body.length - 1));
			else if (next.type === "Q") await this.#query(next.body.toString("utf8", 0, next.body.length - 1));
			else if (next.type === "X") return this.#cut();
			else {
				this.#socket.write(
					wire.errorResponse({ state: "0A000", message: "the stand-in knows the simple protocol only" }),
				);
				if (next.type === "S") this.#socket.write(wire.readyForQuery(this.#status));
			}
		}
	}

	async #login(password: string): Promise<void> {
		const { host, port, database } = this.#warehouse.backend;
		const client = new pg.Client({
			host,
			port,
			database,
			user: this.#user,
			password,
			types: { getTypeParser: () => (text: string | Buffer) => text },
			// A literal's backslash escapes, and transactions see a snapshot:
			// https://docs.aws.amazon.com/redshift/latest/dg/c_serial_isolation.html
			options:
				"-c standard_conforming_strings=off -c escape_string_warning=off -c backslash_quote=on -c default_transaction_isolation=repeatable\\ read -c timezone=UTC -c extra_float_digits=1 -c bytea_output=hex",
		});
		client.on("error", () => this.#cut());
		try {
			await client.connect();
		} catch (error) {
			const { code, message } = error as { code?: string; message: string };
			this.#socket.end(wire.errorResponse({ state: code ?? "08006", message }));
			return;
		}
		client.connection.on("readyForQuery", (ready: { status?: string }) => {
			this.#status = ready.status ?? this.#status;
		});
		this.#client = client;
		const { processID } = client as pg.Client & { processID: number };
		this.#socket.write(
			Buffer.concat([
				wire.AUTHENTICATION_OK,
				wire.parameterStatus("server_version", "8.0.2"),
				wire.parameterStatus("client_encoding", "UTF8"),
				wire.backendKey(processID),
				wire.readyForQuery("I"),
			]),
		);
	}

	async #query(sql: string): Promise<void> {
		const out: Buffer[] = [];
		try {
			const statements = statementsOf(sql);
			for (const tokens of statements) out.push(...(await this.#faulty(tokens)));
			if (statements.length === 0) out.push(wire.message("I", Buffer.alloc(0)));
		} catch (error) {
			if (error instanceof Cut) return this.#cut();
			out.push(await this.#errorOf(error));
		}
		// What failed without the backend's knowing has failed its transaction, too.
		const status = this.#failed && this.#status === "T" ? "E" : this.#status;
		if (status === "I") this.#failed = false;
		this.#socket.write(Buffer.concat([...out, wire.readyForQuery(status)]));
	}

	async #faulty(tokens: readonly Token[]): Promise<Buffer[]> {
		const text = textOf(tokens);
		this.#warehouse.log.push(text);
		const effect: FaultEffect | null = this.#warehouse.faults.take(text);
		if (effect?.kind === "before") await effect.run();
		if (effect?.kind === "cut-before") throw new Cut();
		if (effect?.kind === "1023") {
			// A COMMIT that fails has ended its transaction.
			if (/^(?:commit|end)\b/i.test(text)) await this.#ask("ROLLBACK");
			throw serializationError();
		}
		if (effect?.kind === "cancelled") throw new RedshiftError("57014", "Query cancelled on user's request");
		const answer = await this.#statement(tokens);
		if (effect?.kind === "cut-after") throw new Cut();
		return answer;
	}

	async #statement(all: readonly Token[]): Promise<Buffer[]> {
		const tokens = significant(all);
		const [first, second] = tokens.map(({ value }) => value);
		const ends = first === "rollback" || first === "abort" || first === "commit" || first === "end";
		if (this.#failed && this.#status === "T" && !ends)
			throw new RedshiftError(
				"25P02",
				"current transaction is aborted, commands ignored until end of transaction block",
			);
		if (ends && this.#failed && this.#status === "T") {
			await this.#ask("ROLLBACK");
			this.#failed = false;
			return [wire.commandComplete("ROLLBACK")];
		}
		switch (first) {
			case "begin":
			case "start":
			case "commit":
			case "end":
			case "rollback":
			case "abort":
				return this.#pass(textOf(all));
			case "set":
			case "reset":
			case "show":
				return this.#setting(tokens);
			case "copy":
				return this.#copy(all);
			case "unload":
				return this.#unload(all);
			case "create":
				return this.#create(all, tokens);
			case "alter":
				if (second === "table") return this.#ddl(alterTable(all), "ALTER TABLE");
				throw unsupported(`ALTER ${second?.toUpperCase()} in the stand-in`, "r_ALTER_TABLE.html");
			case "drop":
				if (!["table", "schema", "view", "user"].includes(second ?? ""))
					throw unsupported(`DROP ${second?.toUpperCase()}`, "c_SQL_commands.html");
				return this.#pass(rewritten(all));
			// https://docs.aws.amazon.com/redshift/latest/dg/r_TRUNCATE.html: it commits the transaction in which it runs.
			case "truncate": {
				const answer = await this.#pass(rewritten(all));
				if (this.#status === "T") await this.#ask("COMMIT");
				return answer;
			}
			case "vacuum":
				this.#refuseInBlock("VACUUM");
				return [wire.commandComplete("VACUUM")];
			case "analyze": {
				const name = tokens[1] === undefined ? null : readName(tokens, 1);
				if (name !== null) await this.#ask(`ANALYZE ${name.sql}`);
				return [wire.commandComplete("ANALYZE")];
			}
			case "lock":
			case "comment":
				return this.#pass(rewritten(all));
			case "grant":
			case "revoke":
				return this.#grant(all, tokens);
			// https://docs.aws.amazon.com/redshift/latest/dg/declare.html: within a transaction block, FOR a query.
			case "declare":
				if (this.#status !== "T")
					throw new RedshiftError("25P01", "DECLARE CURSOR may only be used in transaction blocks");
				refuseUnsupported(all);
				return this.#pass(rewritten(all));
			case "close":
				return this.#pass(rewritten(all));
			case "fetch":
				return this.#fetch(all, tokens);
			// https://docs.aws.amazon.com/redshift/latest/dg/c_unsupported-postgresql-features.html
			case "savepoint":
			case "release":
				throw new RedshiftError("0A000", "SAVEPOINT is not supported");
		}
		if (!isRowStatement(all)) throw new RedshiftError("42601", `syntax error at or near "${all[0]!.text}"`);
		refuseUnsupported(all);
		return this.#pass(rewritten(all));
	}

	/** https://docs.aws.amazon.com/redshift/latest/dg/fetch.html: at most 1000 rows on a cluster of one node. */
	#fetch(all: readonly Token[], tokens: readonly Token[]): Promise<Buffer[]> {
		const count = tokens.find(({ text }) => /^\d+$/.test(text))?.text;
		if (tokens.some(({ value }) => value === "all") || Number(count ?? 1) > 1000)
			throw new RedshiftError("XX000", "Fetch size exceeds the limit of 1000 for a single node configuration");
		return this.#pass(rewritten(all));
	}

	async #setting(tokens: readonly Token[]): Promise<Buffer[]> {
		// Redshift's own: https://docs.aws.amazon.com/redshift/latest/dg/cm_chap_ConfigurationRef.html
		const own = [
			"query_group",
			"wlm_query_slot_count",
			"enable_case_sensitive_identifier",
			"analyze_threshold_percent",
		];
		const name = tokens[1]?.value ?? "";
		if (own.includes(name)) return [wire.commandComplete("SET")];
		const known = [
			"timezone",
			"time",
			"datestyle",
			"statement_timeout",
			"extra_float_digits",
			"search_path",
			"transaction",
			"session",
		];
		if (!known.includes(name)) throw new RedshiftError("42704", `unrecognized configuration parameter "${name}"`);
		return this.#pass(tokens.map(({ text }) => text).join(" "));
	}

	async #create(all: readonly Token[], tokens: readonly Token[]): Promise<Buffer[]> {
		const words = tokens.slice(1, 4).map(({ value }) => value);
		if (["table", "temp", "temporary", "local"].includes(words[0]!)) {
			const body = tokens.find(({ value }) => value === "as");
			if (body !== undefined) refuseUnsupported(all);
			return this.#ddl(createTable(all), "CREATE TABLE");
		}
		if (words[0] === "schema") return this.#pass(rewritten(all));
		if (words[0] === "view" || (words[0] === "or" && words[2] === "view")) {
			refuseUnsupported(all);
			if (/with\s+no\s+schema\s+binding\s*$/i.test(textOf(all)))
				throw unsupported("a late-binding view in the stand-in", "r_CREATE_VIEW.html");
			return this.#pass(rewritten(all));
		}
		if (words[0] === "user") return this.#pass(rewritten(all));
		throw unsupported(`CREATE ${words[0]?.toUpperCase()}`, "c_unsupported-postgresql-features.html");
	}

	async #ddl(ddl: Ddl, tag: string): Promise<Buffer[]> {
		if (ddl.alone) this.#refuseInBlock(tag);
		for (const domain of ddl.domains) {
			const key = `${domain.kind}_${domain.bytes}`;
			if (this.#warehouse.domains.has(key)) continue;
			await ensureDomain(this.#warehouse.backend.admin, domain);
			this.#warehouse.domains.add(key);
		}
		for (const statement of ddl.sql) await this.#ask(statement);
		if (ddl.layout !== undefined) {
			const { table, distStyle, sortKey } = ddl.layout;
			await this.#warehouse.backend.admin.query(
				"insert into pg_catalog.rs_layout values ($1, $2, $3) on conflict (name) do update set diststyle = $2, sortkey = $3",
				[table, distStyle, sortKey],
			);
		}
		return [wire.commandComplete(tag)];
	}

	/** https://docs.aws.amazon.com/redshift/latest/dg/r_GRANT.html, ASSUMEROLE among it. */
	async #grant(all: readonly Token[], tokens: readonly Token[]): Promise<Buffer[]> {
		const word = tokens[0]!.value;
		if (tokens[1]?.value !== "assumerole") return this.#pass(rewritten(all, { temp: "temporary" }));
		const role = tokens[3]?.kind === "string" ? tokens[3].value : "ALL";
		const at = tokens.findIndex(({ value }) => value === (word === "grant" ? "to" : "from"));
		const user = tokens[at + 1]!.value;
		const command = tokens.at(-1)!.value.toUpperCase();
		const { admin } = this.#warehouse.backend;
		if (word === "grant")
			await admin.query("insert into pg_catalog.svv_iam_privileges values ($1, $2, 0, $3, $4)", [
				role,
				command,
				user,
				user === "public" ? "public" : "user",
			]);
		else
			await admin.query("delete from pg_catalog.svv_iam_privileges where iam_arn = $1 and identity_name = $2", [
				role,
				user,
			]);
		return [wire.commandComplete(word.toUpperCase())];
	}

	async #copy(all: readonly Token[]): Promise<Buffer[]> {
		const command = readCopy(all);
		using s3 = await this.#warehouse.s3As(command.role, this.#user);
		const client = this.#client!;
		// Outside a block a COPY is a transaction of its own.
		const alone = this.#status === "I";
		if (alone) await this.#ask("BEGIN");
		let rows: number;
		try {
			rows = await copyFromS3(client, command, s3);
			if (alone) await this.#ask("COMMIT");
			await this.#ask(`SELECT set_config('rs.last_copy_count', '${rows}', false)`);
		} catch (error) {
			if (alone) await this.#ask("ROLLBACK");
			if (!(error instanceof LoadFailure)) throw error;
			await this.#recordLoadError(error);
			const table = command.tableName.split(".").at(-1);
			throw new RedshiftError(
				"XX000",
				`Load into table '${table}' failed.  Check 'stl_load_errors' system table for details.`,
			);
		}
		const done = `Load into table '${command.tableName}' completed, ${rows} record(s) loaded successfully.`;
		return [wire.notice(done), wire.commandComplete("COPY")];
	}

	async #recordLoadError({ details }: LoadFailure): Promise<void> {
		const { processID } = this.#client as pg.Client & { processID: number };
		const { file, line, column, type, value, code, reason } = details;
		const length = /\((\d+)/.exec(type)?.[1] ?? "";
		const { admin } = this.#warehouse.backend;
		await admin.query(
			`insert into pg_catalog.stl_load_errors (starttime, session, filename, line_number, colname, type, col_length, raw_field_value, err_code, err_reason)
			values (clock_timestamp() at time zone 'UTC', $1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			[
				processID,
				file.slice(0, 256),
				line,
				column,
				type.replace(/\(.*/, "").slice(0, 10),
				length,
				value,
				code,
				reason.slice(0, 100),
			],
		);
		await admin.query(
			`insert into pg_catalog.sys_load_error_detail (session_id, start_time, file_name, line_number, column_name, column_type, column_length, error_code, error_message)
			values ($1, clock_timestamp() at time zone 'UTC', $2, $3, $4, $5, $6, $7, $8)`,
			[processID, file, line, column, type.replace(/\(.*/, ""), length, code, reason],
		);
	}

	async #unload(all: readonly Token[]): Promise<Buffer[]> {
		const { query, target } = unload(all);
		refuseUnsupported(query);
		using s3 = await this.#warehouse.s3As(target.role, this.#user);
		const result = await this.#client!.query<(string | null)[]>({ text: rewritten(query), rowMode: "array" });
		await s3.put(target.bucket, `${target.key}0000_part_00`, target.encode(result.rows));
		return [wire.commandComplete("UNLOAD")];
	}

	#refuseInBlock(what: string): void {
		if (this.#status !== "I") throw new RedshiftError("25001", `${what} cannot run inside a transaction block`);
	}

	/** Gives the backend a statement, and the client its answer. */
	async #pass(sql: string): Promise<Buffer[]> {
		const result = await this.#client!.query<(string | null)[]>({ text: sql, rowMode: "array" });
		const { command, rowCount, fields = [], rows } = result;
		const counted = ["INSERT", "UPDATE", "DELETE", "SELECT"].includes(command ?? "");
		const tag = counted ? `${command === "INSERT" ? "INSERT 0" : command} ${rowCount ?? 0}` : (command ?? "");
		if (fields.length === 0) return [wire.commandComplete(tag)];
		return [wire.rowDescription(fields), ...rows.map(wire.dataRow), wire.commandComplete(tag)];
	}

	async #ask(sql: string): Promise<void> {
		await this.#client!.query(sql);
	}

	async #errorOf(error: unknown): Promise<Buffer> {
		if (error instanceof RedshiftError) {
			if (this.#status === "T") this.#failed = true;
			return wire.errorResponse({
				state: error.state,
				message: error.message,
				...(error.detail === undefined ? {} : { detail: error.detail }),
			});
		}
		const {
			code = "XX000",
			message,
			constraint,
			detail,
		} = error as { code?: string; message: string; constraint?: string; detail?: string };
		// https://docs.aws.amazon.com/redshift/latest/dg/c_serial_isolation-serializable-isolation-troubleshooting.html
		if (code === "40001" || code === "40P01") return wire.errorResponse(serializationFields());
		if (code === "23514" && constraint === "rs_bytes_max")
			return wire.errorResponse({ state: "22001", message: "Value too long for character type" });
		if (!/^[0-9A-Z]{5}$/.test(code)) process.emitWarning(`Redshift stand-in: ${(error as Error).stack}`);
		const state = /^[0-9A-Z]{5}$/.test(code) ? code : "XX000";
		return wire.errorResponse({ state, message, ...(detail === undefined ? {} : { detail }) });
	}

	#cut(): void {
		this.#socket.destroy();
		void this.#end();
	}

	async #end(): Promise<void> {
		const client = this.#client;
		this.#client = null;
		if (client === null) return;
		client.connection.stream.destroy();
	}
}

function serializationFields() {
	return {
		state: "XX000",
		message: "1023",
		detail:
			"Serializable isolation violation on table - 108263, transactions forming the cycle are: 1864, 1863 (pid:30830)",
	};
}

function serializationError(): RedshiftError {
	const { state, message, detail } = serializationFields();
	return new RedshiftError(state, message, detail);
}
