import type { Connection, RowStatement } from "snowflake-sdk";
import { HeadraceError } from "../../core/index.ts";

type Driver = typeof import("snowflake-sdk");
export type DriverConnection = Connection;
export type { RowStatement };

let loading: Promise<Driver> | null = null;

/**
 * The SDK, on first use: it is large, and optional.
 * @throws E_MISSING_PACKAGE
 */
export function loadDriver(): Promise<Driver> {
	loading ??= load();
	return loading;
}

async function load(): Promise<Driver> {
	// It would ask the addresses of three clouds which of them this machine is in, and load a native library, for telemetry.
	process.env["SNOWFLAKE_DISABLE_PLATFORM_DETECTION"] ??= "true";
	process.env["SNOWFLAKE_DISABLE_MINICORE"] ??= "true";
	const imported = await import("snowflake-sdk").catch((cause: unknown) => {
		throw new HeadraceError("E_MISSING_PACKAGE", "the package snowflake-sdk is not installed", {
			hint: "Run: npm i snowflake-sdk",
			cause,
		});
	});
	const sdk = ((imported as { default?: Driver }).default ?? imported) as Driver;
	const silent = () => {};
	// Its own logger writes a file into the current folder.
	sdk.configure({
		logLevel: "OFF",
		additionalLogToConsole: false,
		customLogger: { error: silent, warn: silent, info: silent, debug: silent, trace: silent },
	} as unknown as Parameters<Driver["configure"]>[0]);
	return sdk;
}
