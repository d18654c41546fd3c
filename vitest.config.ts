import { defineConfig } from "vitest/config";

export default defineConfig({
	test: {
		include: ["src/**/*.test.ts", "test/**/*.test.ts", "web/**/*.test.ts"],
		globalSetup: ["test/support/servers.ts"],
		testTimeout: 60_000,
		hookTimeout: 120_000,
		// What is waited for comes at once on a quiet machine, and not in a second on a busy one.
		expect: { poll: { timeout: 30_000 } },
		// Most tests wait for a database, a process or its end half of their time: three keep two cores busy.
		maxWorkers: 3,
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
