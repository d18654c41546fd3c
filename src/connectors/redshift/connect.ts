import { HeadraceError, type Secret } from "../../core/index.ts";
import { type ErrorContext, translateError } from "./errors.ts";
import type { StagedPlace } from "./grants.ts";
import { Session } from "./session.ts";

/** How long the server may take from the first packet to the end of the login; a paused warehouse takes its time. */
const CONNECT_TIMEOUT_MS = 60_000;
/** Firewalls between a client and AWS drop connections that are silent while COPY works. */
const KEEP_ALIVE_DELAY_MS = 10_000;

export interface RedshiftOptions {
	readonly host: string;
	readonly port: number;
	readonly user?: string;
	readonly password?: Secret;
	readonly database: string;
	/** ARN of the role that COPY reads with; absent: the one that is the default of the warehouse. */
	readonly iamRole?: string;
	/** Default `verify`; `off` for a loopback address. */
	readonly tls?: "off" | "insecure" | "verify";
	/** Where the password comes from, for messages: `${env:DW_PASSWORD}`. */
	readonly passwordReference?: string;
	/** What is done to a table after a load; default `analyze`. */
	readonly maintain?: Maintenance;
	/** Where the pipeline's files are staged, for the policy of the role. */
	readonly staged?: StagedPlace;
	/** Rows up to which a staged table goes by INSERT; default 1000. */
	readonly insertRowsMax?: number;
}

/** `vacuum` analyzes too. Redshift does both by itself when it is idle. */
export type Maintenance = "off" | "analyze" | "vacuum";

/** Whether a host is this machine: nobody listens on the way. */
function isLoopback(host: string): boolean {
	const name = host.replace(/^\[(.*)\]$/, "$1").toLowerCase();
	return name === "localhost" || name === "::1" || /^127(?:\.\d{1,3}){3}$/.test(name);
}

/** The TLS mode that the options come to. */
export function tlsMode({ tls, host }: Pick<RedshiftOptions, "tls" | "host">): "off" | "insecure" | "verify" {
	return tls ?? (isLoopback(host) ? "off" : "verify");
}

/**
 * Logs in and fixes the session's settings.
 * @throws E_CONNECT, E_LOGIN (never tried again), E_TLS
 */
export async function connect(options: RedshiftOptions): Promise<Session> {
	const tls = tlsMode(options);
	const { default: pg } = await import("pg");
	const client = new pg.Client({
		host: options.host,
		port: options.port,
		database: options.database,
		...(options.user === undefined ? {} : { user: options.user }),
		// A function keeps pg from looking for a password in the environment or in ~/.pgpass.
		password: () => options.password?.reveal() ?? "",
		ssl: tls === "off" ? false : { rejectUnauthorized: tls === "verify", minVersion: "TLSv1.2" },
		application_name: "headrace",
		connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
		keepAlive: true,
		keepAliveInitialDelayMillis: KEEP_ALIVE_DELAY_MS,
		types: { getTypeParser: () => (text: string | Buffer) => text },
	});
	const user = options.user ?? client.user ?? "";
	const context: ErrorContext = {
		where: `${user}@${options.host}:${options.port}/${options.database}`,
		user,
		tls,
		...(options.passwordReference === undefined ? {} : { passwordReference: options.passwordReference }),
	};
	// pg emits the same failure as an event and as a rejection; without a listener the event would end the process.
	client.on("error", () => {});
	try {
		await client.connect();
	} catch (error) {
		client.connection.stream.destroy();
		throw translateError(error, { ...context, connecting: true });
	}
	const session = new Session(client, context);
	try {
		for (const setting of SETTINGS) await session.execute(setting);
		return session;
	} catch (error) {
		session.destroy();
		throw error instanceof HeadraceError ? error : translateError(error, context);
	}
}

/** https://docs.aws.amazon.com/redshift/latest/dg/cm_chap_ConfigurationRef.html */
export const SETTINGS: readonly string[] = [
	"SET timezone TO 'UTC'",
	"SET datestyle TO 'ISO, YMD'",
	"SET statement_timeout TO 0",
	"SET extra_float_digits TO 2",
	"SET query_group TO 'headrace'",
];
