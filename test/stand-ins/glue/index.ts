/**
 * A stand-in of AWS Glue's catalogue on 127.0.0.1, written from AWS's public documents; each rule names its page. JSON
 * 1.1 over HTTP, signed; what it does not know it refuses.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Catalog, type PartitionRecord, type TableRecord } from "./catalog.ts";
import { GlueFault } from "./rules.ts";
import { verify } from "./signature.ts";

export type { PartitionRecord, TableRecord } from "./catalog.ts";

export interface GlueFaultPlan {
	/** Absent: each operation. */
	readonly operation?: string;
	/** Requests that pass first; default 0. */
	readonly skip?: number;
	/** Default 1. */
	readonly times?: number;
	/** throttle: ThrottlingException. lost-answer: done, and the connection cut. deny: AccessDeniedException. */
	readonly effect: "throttle" | "lost-answer" | "deny" | "internal" | { readonly before: () => void };
}

export interface GlueStandIn extends AsyncDisposable {
	readonly endpoint: string;
	readonly region: string;
	readonly accessKeyId: string;
	readonly secretAccessKey: string;
	/** Operations in the order in which they came. */
	readonly log: readonly string[];
	fault(plan: GlueFaultPlan): void;
	table(database: string, name: string): TableRecord | undefined;
	partitions(database: string, name: string): readonly PartitionRecord[];
	/** Does an operation as somebody else would. */
	run(operation: string, input: Readonly<Record<string, unknown>>): unknown;
}

export interface GlueStandInOptions {
	/** Default `us-east-1`. */
	readonly region?: string;
	/** Of the user who may do everything; default made-up ones. */
	readonly accessKeyId?: string;
	readonly secretAccessKey?: string;
}

export async function startGlueStandIn(options: GlueStandInOptions = {}): Promise<GlueStandIn> {
	const keys = {
		id: options.accessKeyId ?? "AKIAGLUESTANDIN00001",
		secret: options.secretAccessKey ?? "glue-stand-in-secret",
		region: options.region ?? "us-east-1",
	};
	const catalog = new Catalog();
	const log: string[] = [];
	const plans: { readonly plan: GlueFaultPlan; skip: number; left: number }[] = [];

	function take(operation: string): GlueFaultPlan["effect"] | null {
		for (const each of plans) {
			if (each.left === 0 || (each.plan.operation ?? operation) !== operation) continue;
			if (each.skip > 0) {
				each.skip--;
				continue;
			}
			each.left--;
			return each.plan.effect;
		}
		return null;
	}

	/** https://docs.aws.amazon.com/glue/latest/webapi/CommonErrors.html */
	function answer(request: IncomingMessage, body: Buffer, response: ServerResponse): void {
		verify(request, body, keys);
		const target = /^AWSGlue\.(\w+)$/.exec(String(request.headers["x-amz-target"]))?.[1];
		if (
			request.method !== "POST" ||
			target === undefined ||
			request.headers["content-type"] !== "application/x-amz-json-1.1"
		)
			throw new GlueFault("UnknownOperationException", "no such operation");
		log.push(target);
		const effect = take(target);
		if (effect === "throttle") throw new GlueFault("ThrottlingException", "Rate exceeded");
		if (effect === "internal") throw new GlueFault("InternalServiceException", "try again", 500);
		if (effect === "deny")
			throw new GlueFault("AccessDeniedException", `User is not authorized to perform: glue:${target}`);
		if (effect !== null && typeof effect === "object") effect.before();
		const result = catalog.run(target, JSON.parse(body.toString("utf8")) as Record<string, unknown>);
		if (result === null) throw new GlueFault("UnknownOperationException", `${target} is not built`);
		if (effect === "lost-answer") {
			response.destroy();
			return;
		}
		response.writeHead(200, { "content-type": "application/x-amz-json-1.1", "x-amzn-requestid": `r-${log.length}` });
		response.end(JSON.stringify(result));
	}

	const server = createServer((request, response) => {
		const pieces: Buffer[] = [];
		request.on("data", (piece: Buffer) => pieces.push(piece));
		request.on("end", () => {
			try {
				answer(request, Buffer.concat(pieces), response);
			} catch (error) {
				const fault =
					error instanceof GlueFault ? error : new GlueFault("InternalServiceException", String(error), 500);
				response.writeHead(fault.status, {
					"content-type": "application/x-amz-json-1.1",
					"x-amzn-requestid": `r-${log.length}`,
				});
				response.end(JSON.stringify({ __type: fault.name, Message: fault.message }));
			}
		});
	});
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	return {
		endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
		region: keys.region,
		accessKeyId: keys.id,
		secretAccessKey: keys.secret,
		log,
		fault: (plan) => void plans.push({ plan, skip: plan.skip ?? 0, left: plan.times ?? 1 }),
		table: (database, name) => catalog.held(database, name)?.table,
		partitions: (database, name) => [...(catalog.held(database, name)?.partitions.values() ?? [])],
		run: (operation, input) => catalog.run(operation, input),
		[Symbol.asyncDispose]: async () => {
			server.closeAllConnections();
			server.close();
		},
	};
}
