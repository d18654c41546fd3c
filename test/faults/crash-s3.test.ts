import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type S3StandIn, startS3StandIn } from "../stand-ins/s3/index.ts";
import { missing } from "../support/start.ts";
import { pointsOf, S3_PARTS, S3_STAGED } from "./crash-points.ts";
import { crashOnce, ShopCopy } from "./crash-support.ts";
import { killAtRandom, killShop, killTimeoutMs } from "./kill-support.ts";
import { envelopeOf } from "./project.ts";
import { Shop, type ShopTable } from "./shop.ts";

let s3: S3StandIn;
beforeAll(async () => {
	s3 = await startS3StandIn();
});
afterAll(() => s3?.[Symbol.asyncDispose]());

describe.skipIf(missing("mariadb"))(
	"a run killed at a crash point, MariaDB by way of the S3 stand-in to DuckDB",
	() => {
		let shop: Shop;
		let copy: ShopCopy;
		let round = 0;
		beforeAll(async () => {
			shop = await Shop.open("mariadb");
			await shop.fill(200);
			copy = new ShopCopy(shop, { staging: true, s3 });
			await copy.project.succeed("run", "shop", "--interval", "2026-01-02");
		});
		afterAll(async () => {
			await copy?.[Symbol.asyncDispose]();
			await shop?.[Symbol.asyncDispose]();
		});

		const points = pointsOf("orders", { staging: true }).filter((point) => !point.startsWith("folder-"));
		const cases: (readonly [ShopTable, string])[] = [
			...[...points, ...S3_STAGED].map((point) => ["orders", point] as const),
			...["c05", "c07", "c09", "c13#2"].map((point) => ["accounts", point] as const),
		];
		test.each(cases)("%s at %s: the old rows or the new ones, and the next run finishes", async (table, point) => {
			await shop.change(++round);
			await crashOnce(copy, table, point);
		});

		test("S3 that is busy is waited for; one that refuses ends the run cleanly, and the next one finishes", async () => {
			await shop.change(++round);
			const old = await copy.rows("orders");
			s3.faults.add({ operation: "PutObject", times: 3, effect: { kind: "error", code: "ServiceUnavailable" } });
			s3.faults.add({ operation: "PutObject", times: 1, effect: { kind: "error", code: "AccessDenied" } });
			const result = await copy.project.run(...copy.words("orders"));
			expect(result.code, result.stdout).toBe(4);
			expect(envelopeOf(result).data?.runs[0]?.tables[0]?.error).toMatchObject({
				code: "E_RIGHTS",
				hint: expect.stringContaining("s3:PutObject"),
			});
			expect(await copy.rows("orders")).toEqual(old);
			s3.faults.clear();
			await copy.project.succeed(...copy.words("orders"));
			expect(await copy.rows("orders")).toEqual(await copy.expected("orders"));
			await copy.expectClean();
		});

		test("a bucket that denies removal: the load stands, the run warns, and a later one cleans up", async () => {
			await shop.change(++round);
			const allow = s3.deny("lake", "s3:DeleteObject");
			const result = await copy.project.run(...copy.words("orders"));
			expect(result.code, result.stdout + result.stderr).toBe(0);
			expect(result.stderr).toMatch(/loaded, but its staged files could not be removed \(E_RIGHTS .*s3:DeleteObject/);
			expect(await copy.rows("orders")).toEqual(await copy.expected("orders"));
			expect(s3.keys("lake").length).toBeGreaterThan(0);
			allow();
			await shop.change(++round);
			await copy.project.succeed(...copy.words("orders"));
			expect(await copy.rows("orders")).toEqual(await copy.expected("orders"));
			await copy.expectClean();
		});

		test("a foreign file beside the staged ones is neither loaded nor removed", async () => {
			await shop.change(++round);
			await copy.project.succeed(...copy.words("orders"), "--stage", "extract");
			const [file] = s3.keys("lake", "staging/").filter((key) => key.endsWith(".parquet"));
			const foreign = `${file!.slice(0, file!.lastIndexOf("/files/"))}/files/foreign.parquet`;
			await s3.put("lake", foreign, "somebody else's");
			await copy.project.succeed(...copy.words("orders"), "--stage", "load");
			expect(await copy.rows("orders")).toEqual(await copy.expected("orders"));
			expect(s3.keys("lake")).toEqual([foreign]);
			await s3.remove("lake", foreign);
			await copy.expectClean();
		});

		test.each(["replaced", "corrupted", "removed"])(
			"a sealed file that is %s is never loaded; reading again mends it",
			async (what) => {
				await shop.change(++round);
				const old = await copy.rows("orders");
				await copy.project.succeed(...copy.words("orders"), "--stage", "extract");
				const [file] = s3.keys("lake", "staging/").filter((key) => key.endsWith(".parquet"));
				if (what === "replaced") await s3.put("lake", file!, "PAR1 another one PAR1");
				else if (what === "corrupted") await s3.corrupt("lake", file!, 100);
				else await s3.remove("lake", file!);
				const result = await copy.project.run(...copy.words("orders"), "--stage", "load");
				// One that is gone is found out before the load begins.
				expect(result.code, result.stdout).toBe(what === "removed" ? 0 : 1);
				expect(await copy.rows("orders")).toEqual(old);
				await copy.project.succeed(...copy.words("orders"));
				expect(await copy.rows("orders")).toEqual(await copy.expected("orders"));
				await copy.expectClean();
			},
		);

		test("a file that is damaged when the run itself loads it is read anew", async () => {
			await shop.change(++round);
			await copy.project.succeed(...copy.words("orders"), "--stage", "extract");
			const [file] = s3.keys("lake", "staging/").filter((key) => key.endsWith(".parquet"));
			await s3.corrupt("lake", file!, 100);
			const result = await copy.project.run(...copy.words("orders"));
			expect(result.code, result.stdout).toBe(0);
			expect(result.stderr).toMatch(/thrown away and read anew/);
			expect(await copy.rows("orders")).toEqual(await copy.expected("orders"));
			await copy.expectClean();
		});

		test("two runs at once: one does the work, and the rows are there once", async () => {
			await shop.change(++round);
			const runs = [copy.project.start(copy.words("orders")), copy.project.start(copy.words("orders"))];
			const codes = (await Promise.all(runs.map(({ ended }) => ended))).map(({ code }) => code);
			expect(codes).toContain(0);
			expect(codes.every((code) => code === 0 || code === 75)).toBe(true);
			expect(await copy.rows("orders")).toEqual(await copy.expected("orders"));
			await copy.expectClean();
		});
	},
);

describe("a large file on its way to the S3 stand-in", () => {
	test.each(S3_PARTS)("killed at %s: nothing is there, and the next upload is whole", async (point) => {
		const folder = await mkdtemp(join(tmpdir(), "headrace-s3-parts-"));
		const stagingModule = JSON.stringify(join(import.meta.dirname, "../../src/connectors/s3/index.ts"));
		const script = `import { createS3Staging } from ${stagingModule};
			import { writeFile } from "node:fs/promises";
			const staging = createS3Staging({ bucket: "lake", prefix: "parts", endpoint: "${s3.endpoint}", pathStyle: true, temporaryDirectory: ${JSON.stringify(folder)} });
			const write = await staging.create("large");
			await writeFile(write.localPath, Buffer.alloc(70 << 20, "rows"));
			console.log((await write.commit()).bytes);`;
		const run = (crash: Record<string, string>) =>
			new Promise<{ signal: NodeJS.Signals | null; stdout: string }>((resolve) => {
				const env = { ...process.env, ...s3.environment(), ...crash };
				const child = execFile(process.execPath, ["--input-type=module", "-e", script], { env }, (_error, stdout) =>
					resolve({ signal: child.signalCode, stdout }),
				);
			});
		try {
			expect((await run({ HEADRACE_CRASH: point })).signal).toBe("SIGKILL");
			expect(s3.keys("lake", "parts/")).toEqual([]);
			expect((await run({})).stdout.trim()).toBe(String(70 << 20));
			expect((await s3.get("lake", "parts/large"))?.length).toBe(70 << 20);
		} finally {
			await s3.remove("lake", "parts/large");
			await rm(folder, { recursive: true, force: true });
		}
	});
});

describe.skipIf(missing("mariadb"))(
	"runs killed at random moments, MariaDB by way of the S3 stand-in to DuckDB",
	() => {
		test(
			"whole transactions only, and the next run makes both sides equal",
			async () => {
				await using shop = await killShop("mariadb");
				await using own = await startS3StandIn();
				await killAtRandom(shop, { seed: 5, kills: 3, staging: true, s3: own });
				expect(own.keys("lake")).toEqual([]);
			},
			// Twice that of a folder: each command loads the SDK, too.
			2 * killTimeoutMs(12),
		);
	},
);
