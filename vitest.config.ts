import { defineConfig } from "vitest/config";

export default defineConfig({
	test: {
		include: ["src/**/*.test.ts", "test/**/*.test.ts"],
		globalSetup: ["test/support/servers.ts"],
		testTimeout: 60_000,
		hookTimeout: 120_000,
		// Two real databases and the engine share the machine with the tests.
		maxWorkers: 2,
		coverage: {
			provider: "v8",
			include: ["src/{core,formats,sql,flow,state,config}/**/*.ts"],
			exclude: ["**/*.test.ts"],
			reporter: ["text-summary", "json-summary"],
			reportOnFailure: true,
			thresholds: { lines: 90 },
		},
	},
});
