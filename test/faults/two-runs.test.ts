import { existsSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { TextClient } from "../support/client.ts";
import { startProxy, throughProxy } from "../support/proxy.ts";
import { missing } from "../support/start.ts";
import { ShopCopy } from "./crash-support.ts";
import { envelopeOf, Project, until } from "./project.ts";
import { Shop } from "./shop.ts";

/** Opens the state store of a project as a stranger would. */
function withState<T>(copy: ShopCopy, use: (database: DatabaseSync) => T): T {
	const database = new DatabaseSync(copy.project.path(".headrace/state.db"), { timeout: 5000 });
	try {
		return use(database);
	} finally {
		database.close();
	}
}

function leaseIsHeld(copy: ShopCopy): boolean {
	if (!existsSync(copy.project.path(".headrace/state.db"))) return false;
	try {
		return withState(copy, (db) => db.prepare("SELECT 1 FROM leases WHERE holder IS NOT NULL").get() !== undefined);
	} catch {
		// The tables are being made.
		return false;
	}
}

/** As if the holder had said nothing for longer than its lease lasts. */
function expireLease(copy: ShopCopy): void {
	withState(copy, (db) => db.exec("UPDATE leases SET expires_ms = 0, expires_uptime_ms = 0"));
}

describe.skipIf(missing("mariadb"))("two runs at once", () => {
	let shop: Shop;
	let locker: TextClient;
	beforeAll(async () => {
		shop = await Shop.open("mariadb");
		await shop.fill(50);
	});
	afterAll(() => shop?.[Symbol.asyncDispose]());
	beforeEach(async () => {
		locker = await shop.database.connect();
	});
	afterEach(async () => {
		await locker.query("unlock tables").catch(() => {});
		await locker.close();
	});

	/** A run that has taken everything it needs and now waits for a row of `accounts`. */
	async function startBlocked(copy: ShopCopy) {
		await locker.query("lock tables accounts write");
		const running = copy.project.start(copy.words("accounts"));
		await running.says(/accounts .*started/);
		return running;
	}

	test("of one project: one works, the other says who holds the pipeline and exits 75", async () => {
		await using copy = new ShopCopy(shop, { staging: false });
		const first = await startBlocked(copy);
		const [error] = await copy.project.fail(75, ...copy.words("orders"));
		expect(error).toMatchObject({ code: "E_BUSY", message: expect.stringMatching(/another run holds.*shop/) });
		expect(error!.message).toContain(String(first.pid));
		await locker.query("unlock tables");
		expect((await first.ended).code).toBe(0);
		await copy.project.succeed(...copy.words("orders"));
		expect(await copy.rows("accounts")).toEqual(await shop.lines("accounts"));
	});

	test("of two projects into one DuckDB file: the second exits 75 and names the process", async () => {
		await using copy = new ShopCopy(shop, { staging: false });
		using other = new Project({
			"pipelines/other.yaml": `from: ${shop.url}\nto: duckdb:${copy.warehouse}\ntables: { ${shop.schema}.orders: {} }\n`,
		});
		const first = await startBlocked(copy);
		await until(() => existsSync(copy.warehouse), "the first run has the file open");
		const [error] = await other.fail(75, "run", "other");
		expect(error).toMatchObject({ code: "E_BUSY", message: expect.stringContaining(String(first.pid)) });
		await locker.query("unlock tables");
		expect((await first.ended).code).toBe(0);
		await other.succeed("run", "other");
		expect(await copy.rows("orders")).toEqual(await shop.lines("orders"));
	});

	test("started in the same moment: one does the work, the others exit 75, and the data is whole", async () => {
		await using copy = new ShopCopy(shop, { staging: false });
		const results = await Promise.all(Array.from({ length: 3 }, () => copy.project.start(copy.words("orders")).ended));
		const codes = results.map((result) => result.code);
		expect(codes).toContain(0);
		expect(codes.filter((code) => code !== 0 && code !== 75)).toEqual([]);
		expect(await copy.rows("orders")).toEqual(await shop.lines("orders"));
		expect(await copy.moves("orders")).toBe(codes.filter((code) => code === 0).length);
	});

	test("a run that slept while its lease was taken writes nothing more and exits 75", async () => {
		await using copy = new ShopCopy(shop, { staging: false, into: "folder" });
		const sleeper = await startBlocked(copy);
		sleeper.kill("SIGSTOP");
		await locker.query("unlock tables");
		expireLease(copy);
		await shop.change(1);
		await copy.project.succeed(...copy.words("accounts"));
		const wanted = await shop.lines("accounts");
		expect(await copy.rows("accounts")).toEqual(wanted);
		sleeper.kill("SIGCONT");
		const result = await sleeper.ended;
		expect(result.code, result.stdout).toBe(75);
		expect(envelopeOf(result).errors[0]?.code).toBe("E_FENCED");
		expect(await copy.rows("accounts")).toEqual(wanted);
		await copy.project.succeed(...copy.words("accounts"));
	});

	test("a run that slept before it had the DuckDB file does not come back after the one that took its lease", async () => {
		await using proxy = await startProxy(shop.database.server, { latencyMs: 1500 });
		await using copy = new ShopCopy(shop, { staging: false });
		const connections = (url: string) =>
			copy.project.write("connections.yaml", `shop_db: ${url}\ncopy: { type: duckdb, path: warehouse.duckdb }\n`);
		connections(throughProxy(shop.url, proxy));
		const sleeper = copy.project.start(copy.words("accounts"));
		await until(() => leaseIsHeld(copy), "the first run has the lease");
		sleeper.kill("SIGSTOP");
		expireLease(copy);
		connections(shop.url);
		await copy.project.succeed(...copy.words("accounts"));
		const before = await copy.read();
		proxy.set({});
		sleeper.kill("SIGCONT");
		const result = await sleeper.ended;
		expect(result.code, result.stdout).toBe(75);
		expect(envelopeOf(result).errors[0]?.code).toBe("E_FENCED");
		expect(await copy.read()).toEqual(before);
	});

	test("a stopped process that has the DuckDB file is waited for, and killed it blocks nobody", async () => {
		await using copy = new ShopCopy(shop, { staging: false });
		const sleeper = await startBlocked(copy);
		await until(() => existsSync(copy.warehouse), "the run has the file open");
		sleeper.kill("SIGSTOP");
		await locker.query("unlock tables");
		expireLease(copy);
		const [error] = await copy.project.fail(75, ...copy.words("accounts"));
		expect(error).toMatchObject({ code: "E_BUSY", message: expect.stringContaining(String(sleeper.pid)) });
		sleeper.kill("SIGKILL");
		await sleeper.ended;
		await copy.project.succeed(...copy.words("accounts"));
		expect(await copy.rows("accounts")).toEqual(await shop.lines("accounts"));
	});
});
