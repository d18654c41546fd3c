import type { Engine } from "../../../src/engine/index.ts";
import type { Catalog } from "./catalog.ts";
import type { FaultPlan } from "./faults.ts";
import type { WriteLock } from "./locks.ts";
import type { SessionState } from "./session.ts";

export interface User {
	readonly password?: string;
	/** PEM of the public key. */
	readonly publicKey?: string;
	readonly oauthToken?: string;
	readonly defaultRole: string;
	readonly roles: readonly string[];
}

export interface Role {
	/** On the database: `CREATE SCHEMA`, `USAGE`, `OWNERSHIP`. */
	readonly database: readonly string[];
	/** Warehouses that it may use. */
	readonly warehouses: readonly string[];
	readonly integrations: readonly string[];
}

export interface Integration {
	readonly roleArn: string;
	/** `s3://bucket/prefix/` */
	readonly allowedLocations: readonly string[];
	readonly enabled: boolean;
}

/** Bytes of objects in S3, as the integration's role reads them; null when there is none. */
export type ReadObject = (bucket: string, key: string) => Promise<Buffer | null>;

/** All that the stand-in's sessions share. */
export interface World {
	readonly engine: Engine;
	readonly catalog: Catalog;
	readonly account: string;
	readonly users: Map<string, User>;
	readonly roles: Map<string, Role>;
	readonly integrations: Map<string, Integration>;
	readonly warehouses: ReadonlySet<string>;
	readonly sessions: Map<string, SessionState>;
	readonly lock: WriteLock;
	readonly faults: FaultPlan;
	/** Files of stages, and copies of S3 objects while they are loaded. */
	readonly folder: string;
	readonly readObject?: ReadObject;
	/** Statements of clients as they came. */
	readonly log: { readonly sql: string; readonly session: string; readonly tag: string }[];
	nextId(): string;
}
