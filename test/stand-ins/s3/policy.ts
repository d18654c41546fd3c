import type { Credentials } from "./signature.ts";

/**
 * Policies as https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html evaluates them,
 * for one account: an explicit deny wins; otherwise an allow of the identity's policy or of the bucket's is enough.
 */
export interface PolicyStatement {
	readonly Sid?: string;
	readonly Effect: "Allow" | "Deny";
	readonly Principal?: unknown;
	readonly Action: string | readonly string[];
	readonly Resource: string | readonly string[];
	readonly Condition?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export interface Policy {
	readonly Version: "2012-10-17";
	readonly Statement: readonly PolicyStatement[];
}

export interface AccessRequest {
	/** `s3:PutObject`. */
	readonly action: string;
	readonly resource: string;
	/** Condition keys that the request has. */
	readonly context: Readonly<Record<string, string | undefined>>;
}

const STATEMENT_KEYS = new Set(["Sid", "Effect", "Principal", "Action", "Resource", "Condition"]);

const list = (value: unknown): string[] => (Array.isArray(value) ? value : [value]).map(String);

/** @throws Error when the document has what this evaluation does not know: it must never allow or deny by mistake */
export function readPolicy(document: unknown): Policy {
	const policy = (typeof document === "string" ? JSON.parse(document) : document) as Policy;
	if (policy.Version !== "2012-10-17" || !Array.isArray(policy.Statement)) throw new Error("MalformedPolicyDocument");
	for (const statement of policy.Statement) {
		for (const key of Object.keys(statement)) if (!STATEMENT_KEYS.has(key)) throw new Error(`policy key ${key}`);
		if (statement.Effect !== "Allow" && statement.Effect !== "Deny") throw new Error("MalformedPolicyDocument");
		for (const operator of Object.keys(statement.Condition ?? {}))
			if (!(operator in OPERATORS)) throw new Error(`condition operator ${operator}`);
		for (const resource of list(statement.Resource))
			if (resource !== "*" && !/^arn:aws[\w-]*:[^:]*:[^:]*:[^:]*:.+$/.test(resource))
				throw new Error(`resource ${resource}`);
	}
	return policy;
}

/** `*` is any characters and `?` any one. */
function like(pattern: string, text: string): boolean {
	const source = pattern
		.replaceAll(/[.+^${}()|[\]\\]/g, "\\$&")
		.replaceAll("*", "[^]*")
		.replaceAll("?", "[^]");
	return new RegExp(`^${source}$`, "u").test(text);
}

type Operator = (given: string | undefined, wanted: readonly string[]) => boolean;

const OPERATORS: Readonly<Record<string, Operator>> = {
	StringEquals: (given, wanted) => given !== undefined && wanted.includes(given),
	StringNotEquals: (given, wanted) => given === undefined || !wanted.includes(given),
	StringLike: (given, wanted) => given !== undefined && wanted.some((pattern) => like(pattern, given)),
	StringNotLike: (given, wanted) => given === undefined || !wanted.some((pattern) => like(pattern, given)),
	Bool: (given, wanted) => given !== undefined && wanted.includes(given),
	Null: (given, wanted) => wanted.includes(String(given === undefined)),
};

function matches(statement: PolicyStatement, request: AccessRequest): boolean {
	const action = request.action.toLowerCase();
	if (!list(statement.Action).some((pattern) => like(pattern.toLowerCase(), action))) return false;
	if (!list(statement.Resource).some((pattern) => like(pattern, request.resource))) return false;
	return Object.entries(statement.Condition ?? {}).every(([operator, keys]) =>
		Object.entries(keys).every(([key, wanted]) => OPERATORS[operator]!(request.context[key], list(wanted))),
	);
}

function concerns(principal: unknown, arn: string): boolean {
	if (principal === undefined || principal === "*") return true;
	const names = list((principal as { AWS?: unknown }).AWS ?? []);
	const role = arn.replace(/^arn:aws:sts::(\d+):assumed-role\/([^/]+)\/.*$/, "arn:aws:iam::$1:role/$2");
	return names.some((name) => name === "*" || name === arn || name === role);
}

/** Null when allowed, else why not. */
export function refusal(request: AccessRequest, credentials: Credentials, bucketPolicy: Policy | null): string | null {
	const bucket = bucketPolicy?.Statement.filter((statement) => concerns(statement.Principal, credentials.arn)) ?? [];
	const identity = credentials.policy === undefined ? null : (credentials.policy as Policy).Statement;
	const found = (statements: readonly PolicyStatement[], effect: string) =>
		statements.some((statement) => statement.Effect === effect && matches(statement, request));
	const text = `User: ${credentials.arn} is not authorized to perform: ${request.action} on resource: "${request.resource}"`;
	if (found(bucket, "Deny")) return `${text} with an explicit deny in a resource-based policy`;
	if (identity === null) return null;
	if (found(identity, "Deny")) return `${text} with an explicit deny in an identity-based policy`;
	if (found(identity, "Allow") || found(bucket, "Allow")) return null;
	return `${text} because no identity-based policy allows the ${request.action} action`;
}
