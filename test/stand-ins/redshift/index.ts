/**
 * A stand-in of Amazon Redshift on 127.0.0.1, written from AWS's Database Developer Guide; each rule names its page. A
 * proxy that ends the protocol of its clients and asks a real PostgreSQL: what Redshift refuses it refuses, also where
 * PostgreSQL would do it. Not modelled: that VARCHARs are compared without their trailing blanks, late-binding views,
 * IDENTITY, MERGE, stored procedures, the extended protocol, TLS, and speed.
 */

import type { AddressInfo } from "node:net";
import { createServer, type Socket } from "node:net";
import { type Login, openClient } from "../../support/client.ts";
import type { S3StandIn } from "../s3/index.ts";
import { installCatalog } from "./catalog.ts";
import { RedshiftError } from "./errors.ts";
import { FaultPlan } from "./faults.ts";
import { S3Reader } from "./s3-reader.ts";
import { ProxySession, type Warehouse } from "./session.ts";

export type { Fault, FaultEffect } from "./faults.ts";

export interface RedshiftStandInOptions {
	/** Where COPY reads; its log shows each request. */
	readonly s3: Pick<S3StandIn, "endpoint" | "region" | "accessKeyId" | "secretAccessKey"> &
		Partial<Pick<S3StandIn, "addSession">>;
	/** The real PostgreSQL behind it. */
	readonly server: Login;
	/** A database of it; the caller makes and drops it. */
	readonly database: string;
	/**
	 * The roles that are attached to the warehouse, with what each may do in S3 (an IAM policy document; absent: all).
	 * Default: `ROLE` with all rights.
	 */
	readonly roles?: Readonly<Record<string, unknown>>;
	/** Default a free one. */
	readonly port?: number;
}

export interface RedshiftStandIn extends AsyncDisposable {
	readonly host: string;
	readonly port: number;
	readonly database: string;
	readonly user: string;
	readonly password: string;
	readonly iamRole: string;
	readonly faults: FaultPlan;
	/** Every statement that came, as it came. */
	readonly log: string[];
	/** Cuts every connection. */
	cutAll(): void;
}

export const ROLE = "arn:aws:iam::000000000000:role/copy";
const SESSION_MS = 3_600_000;

export async function startRedshiftStandIn(options: RedshiftStandInOptions): Promise<RedshiftStandIn> {
	const { s3, server, database, roles = { [ROLE]: undefined } } = options;
	const admin = await openClient(server, database);
	await installCatalog(admin);
	const log: string[] = [];
	const faults = new FaultPlan();
	const warehouse: Warehouse = {
		backend: { host: server.host, port: server.port, database, admin },
		faults,
		log,
		domains: new Set(),
		async s3As(role, user) {
			const arn = role === "default" ? Object.keys(roles)[0]! : role;
			// https://docs.aws.amazon.com/redshift/latest/mgmt/authorizing-redshift-service.html
			if (!Object.hasOwn(roles, arn))
				throw new RedshiftError(
					"XX000",
					`User arn:aws:redshift:${s3.region}:000000000000:dbuser:stand-in/${user} is not authorized to assume IAM Role ${arn}`,
				);
			// https://docs.aws.amazon.com/redshift/latest/dg/r_GRANT.html#r_GRANT-usage-notes-assumerole
			const granted = await admin.query(
				"select 1 from pg_catalog.svv_iam_privileges where iam_arn in ($1, 'ALL') and command_type in ('COPY', 'UNLOAD', 'ALL') and identity_name in ($2, 'public')",
				[arn, user],
			);
			if (granted.length === 0)
				throw new RedshiftError("XX000", `Not authorized to use role ${arn}: ASSUMEROLE is not granted`);
			if (s3.addSession === undefined) return new S3Reader(s3);
			const session = s3.addSession(`redshift-${user}`, SESSION_MS, roles[arn]);
			return new S3Reader({ endpoint: s3.endpoint, region: s3.region, ...session });
		},
	};
	const sockets = new Set<Socket>();
	const listener = createServer((socket) => {
		sockets.add(socket);
		socket.setNoDelay(true);
		socket.on("close", () => sockets.delete(socket));
		new ProxySession(socket, warehouse);
	});
	await new Promise<void>((resolve, reject) => {
		listener.once("error", reject);
		listener.listen(options.port ?? 0, "127.0.0.1", resolve);
	});
	const cutAll = () => {
		for (const socket of sockets) socket.destroy();
	};
	return {
		host: "127.0.0.1",
		port: (listener.address() as AddressInfo).port,
		database,
		user: server.user,
		password: server.password,
		iamRole: Object.keys(roles)[0]!,
		faults,
		log,
		cutAll,
		[Symbol.asyncDispose]: async () => {
			cutAll();
			await new Promise((resolve) => listener.close(resolve));
			await admin.close();
		},
	};
}
