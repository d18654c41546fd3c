import type { Secret } from "./secret.ts";

/** What channels can be told about. */
export const ALERT_EVENTS = ["failed", "recovered", "late", "schema_changed", "check_warned", "succeeded"] as const;
export type AlertEvent = (typeof ALERT_EVENTS)[number];

interface ChannelBase {
	/** Unique in its pipeline. */
	readonly name: string;
	readonly on: readonly AlertEvent[];
	/** Patterns of source or destination tables; absent: all. What concerns the run as a whole is always told. */
	readonly tables?: readonly string[];
	readonly coolDownMs: number;
	/** Whether it may be on this machine or in a private network. */
	readonly allowPrivate: boolean;
}

export interface HttpChannel extends ChannelBase {
	readonly type: "slack" | "teams" | "webhook";
	/** A secret: whoever knows it can post there. */
	readonly url: Secret;
	/** Key of the signature; of `webhook` only. */
	readonly secret?: Secret;
}

export interface MailServer {
	readonly host: string;
	readonly port: number;
	readonly user?: string;
	readonly password?: Secret;
	/** `insecure` encrypts and does not verify. */
	readonly tls: "on" | "off" | "insecure";
	/** PEM text. */
	readonly ca?: string;
}

export interface EmailChannel extends ChannelBase {
	readonly type: "email";
	readonly to: readonly string[];
	readonly from: string;
	readonly smtp: MailServer;
}

export type AlertChannel = HttpChannel | EmailChannel;

/** What one channel knows about one thing: kept, so that a failure that repeats is told once in a while. */
export interface AlertEntry {
	readonly channel: string;
	readonly event: AlertEvent;
	/** Empty for the run as a whole. */
	readonly table: string;
	/** The error's code; for a change of the schema which one it is; empty where there is none. */
	readonly code: string;
	/** `waiting`: to be told as soon as the channel can be reached. `told`: the channel knows. */
	readonly state: "waiting" | "told";
	/** A success came after it. */
	readonly over: boolean;
	/** How often it happened since the channel was last told. */
	readonly untold: number;
	/** Since when it happens, without a success between; this and the other times are ISO 8601, UTC. */
	readonly firstAt: string;
	readonly lastAt: string;
	readonly toldAt: string | null;
	/** The last run that it happened in; null for what no run found. */
	readonly runId: string | null;
	/** One line, without row values. */
	readonly message: string;
	readonly hint: string;
	/** Attempts of the last run. */
	readonly attempts: number;
	/** Why the channel could not be told, when it could not. */
	readonly failure: string | null;
}
