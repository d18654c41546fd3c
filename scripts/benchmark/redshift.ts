/** MySQL into the Redshift stand-in by way of the S3 stand-in, each a process of its own on this machine. */
import { spawn } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { undoAtEnd } from "../../test/support/processes.ts";
import type { TestServer } from "../../test/support/server.ts";
import { alternate, type Contestant, type Result } from "./measure.ts";
import { clearTarget, copyRelation, LOADER, TARGET_DATABASE } from "./postgres-target.ts";
import { headrace, headraceCommand, type Route, repository, sourceUrl } from "./routes.ts";
import { compare, DATABASE } from "./tables.ts";

async function startChild<Address>(program: string, given: readonly string[]): Promise<Address & Disposable> {
	const child = spawn(process.execPath, [join(repository, program), ...given], { stdio: ["pipe", "pipe", "inherit"] });
	const forget = undoAtEnd(() => child.kill());
	const [line] = (await child.stdout.take(1).toArray()) as [Buffer];
	return {
		...(JSON.parse(line.toString()) as Address),
		[Symbol.dispose]: () => {
			forget();
			child.stdin.end();
		},
	};
}

interface S3Address {
	readonly endpoint: string;
	readonly region: string;
	readonly accessKeyId: string;
	readonly secretAccessKey: string;
}

/**
 * Headrace's direct load of the PostgreSQL that is behind the stand-in, and its whole way by S3, COPY and a transaction;
 * the rows that are there in the end are compared with the truth. The stand-in's own work is part of the time.
 */
export async function raceRedshift(
	route: Route & { readonly into: TestServer },
	repeat: number,
	say: (line: string) => void,
): Promise<{ readonly results: Result[]; readonly base: string }> {
	const { into } = route;
	using s3 = await startChild<S3Address>("test/stand-ins/s3/main.ts", []);
	const { endpoint, region, accessKeyId, secretAccessKey } = s3;
	const given = JSON.stringify({
		s3: { endpoint, region, accessKeyId, secretAccessKey },
		server: into,
		database: TARGET_DATABASE,
	});
	using redshift = await startChild<{ host: string; port: number; iamRole: string }>(
		"test/stand-ins/redshift/main.ts",
		[given],
	);
	const contestant = (options: readonly string[]): Contestant => {
		const name = ["headrace", ...options].join(" ");
		const project = join(route.folder, name.replaceAll(/[^a-z0-9]+/gi, "-"));
		return {
			name,
			command: headraceCommand(["-C", project, "run", "bench", "--json", ...options], route.folder),
			prepare: async () => {
				await clearTarget(into);
				rmSync(project, { recursive: true, force: true });
				mkdirSync(join(project, "pipelines"), { recursive: true });
				const warehouse = {
					type: "redshift",
					host: redshift.host,
					port: redshift.port,
					user: LOADER,
					password: LOADER,
					database: TARGET_DATABASE,
					iam_role: redshift.iamRole,
				};
				const lake = {
					type: "s3",
					bucket: "lake",
					prefix: "staging/",
					region,
					endpoint,
					path_style: true,
					access_key_id: accessKeyId,
					secret_access_key: secretAccessKey,
				};
				writeFileSync(
					join(project, "connections.yaml"),
					`source: ${sourceUrl(route.server)}\nwarehouse: ${JSON.stringify(warehouse)}\nlake: ${JSON.stringify(lake)}\n`,
				);
				writeFileSync(
					join(project, "pipelines/bench.yaml"),
					`from: source\nto: warehouse\nstaging: lake\ntables:\n  ${DATABASE}.lineitem: { mode: full }\n`,
				);
			},
			examine: async () => {
				const relation = await copyRelation(into, `${DATABASE}.lineitem`, project);
				const { missing, surplus } = await compare(route.generated.reference, { relation });
				if (missing + surplus > 0) throw new Error(`the copy differs: ${missing} rows missing, ${surplus} surplus`);
				return "exact";
			},
		};
	};
	const direct = { ...headrace(route), name: "headrace into PostgreSQL" };
	const results = await alternate([direct, contestant([])], repeat, say);
	return { results, base: direct.name };
}
