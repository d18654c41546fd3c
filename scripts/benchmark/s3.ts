/** MySQL into Parquet files of the S3 stand-in, which is a process of its own on this machine. */
import { spawn } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DeleteObjectsCommand, GetObjectCommand, ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import { undoAtEnd } from "../../test/support/processes.ts";
import type { TestServer } from "../../test/support/server.ts";
import { cClient } from "./clients.ts";
import { alternate, type Contestant, type Result } from "./measure.ts";
import { headraceCommand, repository, sourceUrl } from "./routes.ts";
import { compare, DATABASE, type Generated } from "./tables.ts";

interface StandIn extends Disposable {
	readonly endpoint: string;
	readonly region: string;
	readonly accessKeyId: string;
	readonly secretAccessKey: string;
}

async function startStandIn(): Promise<StandIn> {
	const main = join(repository, "test/stand-ins/s3/main.ts");
	const child = spawn(process.execPath, [main], { stdio: ["pipe", "pipe", "inherit"] });
	const forget = undoAtEnd(() => child.kill());
	const [line] = (await child.stdout.take(1).toArray()) as [Buffer];
	return {
		...(JSON.parse(line.toString()) as Omit<StandIn, keyof Disposable>),
		[Symbol.dispose]: () => {
			forget();
			child.stdin.end();
		},
	};
}

/** The C client's read, and Headrace's extract with files in S3 in the end, each object compared with the truth. */
export async function raceS3(
	server: TestServer,
	generated: Generated,
	folder: string,
	repeat: number,
	say: (line: string) => void,
): Promise<{ readonly results: Result[]; readonly base: string }> {
	using standIn = await startStandIn();
	const { endpoint, region, accessKeyId, secretAccessKey } = standIn;
	const client = new S3Client({
		endpoint,
		region,
		forcePathStyle: true,
		credentials: { accessKeyId, secretAccessKey },
	});
	const objects = async () =>
		(await client.send(new ListObjectsV2Command({ Bucket: "lake" }))).Contents?.map(({ Key }) => ({ Key: Key! })) ?? [];
	const contestant = (options: readonly string[]): Contestant => {
		const name = ["headrace", ...options].join(" ");
		const project = join(folder, name.replaceAll(/[^a-z0-9]+/gi, "-"));
		return {
			name,
			command: headraceCommand(["-C", project, "run", "bench", "--stage", "extract", "--json", ...options], folder),
			prepare: async () => {
				const Objects = await objects();
				if (Objects.length > 0) await client.send(new DeleteObjectsCommand({ Bucket: "lake", Delete: { Objects } }));
				rmSync(project, { recursive: true, force: true });
				mkdirSync(join(project, "pipelines"), { recursive: true });
				writeFileSync(
					join(project, "connections.yaml"),
					`source: ${sourceUrl(server)}\nlake: { type: s3, bucket: lake, prefix: staging/, region: ${region}, endpoint: "${endpoint}", path_style: true, access_key_id: ${accessKeyId}, secret_access_key: "${secretAccessKey}" }\n`,
				);
				writeFileSync(
					join(project, "pipelines/bench.yaml"),
					`from: source\nto: duckdb:copy.duckdb\nstaging: lake\ntables:\n  ${DATABASE}.lineitem: { mode: full }\n`,
				);
			},
			examine: async () => {
				const copies = join(project, "copies");
				mkdirSync(copies);
				for (const [index, { Key }] of (await objects()).filter((each) => each.Key.endsWith(".parquet")).entries()) {
					const { Body } = await client.send(new GetObjectCommand({ Bucket: "lake", Key }));
					writeFileSync(join(copies, `${index}.parquet`), await Body!.transformToByteArray());
				}
				const { missing, surplus } = await compare(generated.reference, {
					relation: `read_parquet('${copies}/*.parquet')`,
				});
				if (missing + surplus > 0) throw new Error(`the objects differ: ${missing} rows missing, ${surplus} surplus`);
				return "exact";
			},
		};
	};
	const base = cClient(server);
	const results = await alternate([base, contestant([]), contestant(["--memory", "256MB"])], repeat, say);
	client.destroy();
	return { results, base: base.name };
}
