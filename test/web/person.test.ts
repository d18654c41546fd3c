import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openService, type Service } from "../../src/app/service/service.ts";
import { Redactor } from "../../src/observe/index.ts";
import { type RunningServer, startServer } from "../../src/server/server.ts";
import { freshDatabase, sharedServer, type TestDatabase } from "../support/shared.ts";
import { available } from "../support/start.ts";
import { builtPage, type Chromium, hindrances, noBrowser, startChromium } from "./browser.ts";

const DAY_MS = 86_400_000;
const INTERVALS = 4;
const day = (back: number) => new Date(Date.now() - back * DAY_MS).toISOString().slice(0, 10);

const PIPELINE = `pipeline: shop
from: source
to: warehouse
schedule: "0 2 * * *"
start: ${day(INTERVALS)}
retries: 0
defaults: { into: "raw.{table}" }
tables:
  public.orders: { mode: full }
  public.customers: { mode: full }
  public.events: { mode: interval, cursor: created_at, key: id }
checks:
  - { table: raw.customers, not_null: [name] }
`;

const SOURCE = `
create table orders (id int primary key, total numeric(10,2));
insert into orders select i, i * 1.5 from generate_series(1, 500) i;
create table customers (id int primary key, name text);
insert into customers values (1, 'Ada'), (2, null), (3, 'Grace');
create table events (id int primary key, created_at timestamptz not null);
insert into events select i, now() - i * interval '1 hour' from generate_series(1, 200) i;`;

const reason = noBrowser ?? available("postgres18");

describe.skipIf(reason !== undefined)(
	`a person with the page${reason === undefined ? "" : ` (skipped: ${reason})`}`,
	() => {
		const folder = mkdtempSync(join(tmpdir(), "headrace-person-"));
		let database: TestDatabase;
		let built: Awaited<ReturnType<typeof builtPage>>;
		let chromium: Chromium;
		let service: Service;
		let server: RunningServer;

		beforeAll(async () => {
			[built, chromium, database] = await Promise.all([
				builtPage(),
				startChromium(),
				sharedServer("postgres18").then((shared) => freshDatabase(shared, "person")),
			]);
			await database.query(SOURCE);
			for (const name of [".headrace", "pipelines"]) mkdirSync(join(folder, name));
			writeFileSync(
				join(folder, "connections.yaml"),
				'source: "${env:SOURCE_URL}"\nwarehouse: duckdb:warehouse.duckdb\n',
			);
			writeFileSync(join(folder, "pipelines/shop.yaml"), PIPELINE);
			service = await openService({
				directory: folder,
				env: { ...process.env, SOURCE_URL: database.url },
				redactor: new Redactor(),
				onNotice: () => {},
			});
			server = await startServer({
				service,
				host: "127.0.0.1",
				port: 0,
				publicUrl: null,
				allowedHosts: [],
				tls: null,
				version: "0.0.0",
				onError: (error) => {
					throw error;
				},
				pageFolder: built.folder,
			});
			await service.start();
		});
		afterAll(async () => {
			await chromium?.[Symbol.asyncDispose]();
			await server?.[Symbol.asyncDispose]();
			await service?.[Symbol.asyncDispose]();
			await database?.[Symbol.asyncDispose]();
			built?.[Symbol.dispose]();
			rmSync(folder, { recursive: true, force: true });
		});

		test("sees what failed, reads why, cures it, retries it; fills a calendar; pauses; others see it", async () => {
			const origin = server.address;
			const { page, complaints } = await chromium.open(origin);
			const dialog = page.getByRole("dialog");

			// The link is good once, and its token is gone from the address at once.
			await page.goto(server.link!);
			await page.getByRole("link", { name: "shop" }).waitFor();
			expect(page.url()).toBe(`${origin}/`);
			await page.reload();

			await page.getByRole("button", { name: "Run shop" }).click();
			await dialog.getByRole("button", { name: "Show what it would do" }).click();
			await dialog.getByText("raw.orders").waitFor();
			await dialog.getByRole("button", { name: "Run", exact: true }).click();
			await page.getByRole("link", { name: /^failed/ }).click();

			const error = page.locator(".log .current");
			await error.waitFor();
			expect(await error.textContent()).toContain("E_CHECK");
			expect(await hindrances(page)).toEqual([]);

			await database.query("update customers set name = 'Lin' where name is null");
			await page.getByRole("button", { name: "Retry failed" }).click();
			const touched = dialog.getByRole("listitem");
			await touched.first().waitFor();
			expect(await touched.allTextContents()).toEqual(["public.customers"]);
			await dialog.getByRole("button", { name: "Retry 1 table" }).click();

			// By keyboard from here on: back to the list, into the pipeline's newest run.
			await dialog.waitFor({ state: "detached" });
			await page.keyboard.press("g");
			await page.keyboard.press("p");
			await page.getByRole("link", { name: /^succeeded/ }).focus();
			await page.keyboard.press("Enter");
			await page.getByText("read 3 = loaded 3 + rejected 0").waitFor();
			expect(await page.locator(".receipts tbody tr").count()).toBe(1);
			expect(await hindrances(page)).toEqual([]);
			await page.getByRole("link", { name: "public.customers" }).focus();
			await page.keyboard.press("Enter");
			await page.getByRole("cell", { name: "text", exact: true }).waitFor();
			// An address with a dot at its end is a page too, when it is asked for anew.
			await page.reload();
			await page.getByRole("cell", { name: "text", exact: true }).waitFor();
			expect(await hindrances(page)).toEqual([]);

			await page.goto(`${origin}/pipelines/shop/calendar`);
			await page.getByRole("button", { name: /^Fill \d missing/ }).click();
			await dialog.getByRole("button", { name: /^Run \d interval/ }).click();
			await expect.poll(() => page.locator(".day-cell .state-succeeded").count()).toBe(INTERVALS);
			expect(await hindrances(page)).toEqual([]);

			await page.keyboard.press("p");
			await dialog.getByLabel("Reason").fill("the shop moves");
			await page.keyboard.press("Enter");
			await page.getByText(": the shop moves").waitFor();
			await page.keyboard.press("g");
			await page.keyboard.press("a");
			await page.getByRole("cell", { name: "pause", exact: true }).waitFor();
			expect(complaints).toEqual([]);
		});
	},
);
