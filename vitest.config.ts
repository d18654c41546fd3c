import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Those that take longest, longest first: begun last, they would run on alone. */
const LONG = [
	"faults/chunks",
	"faults/crash-",
	"faults/kill-",
	"simulation/",
	"connectors/lake-crash",
	"scenarios/schema-",
	"connectors/file-conformance",
	"connectors/mysql-conformance",
	"connectors/postgres-log-streams",
	"connectors/lake-",
	"cli/run",
	"scenarios/",
	"faults/",
	"-faults",
	"-login",
];

class LongestFirst extends BaseSequencer {
	override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
		const rank = ({ moduleId }: TestSpecification) => {
			const found = LONG.findIndex((part) => moduleId.includes(`/test/${part}`) || moduleId.includes(`${part}.test`));
			return found < 0 ? LONG.length : found;
		};
		return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
	}
}

export default defineConfig({
	test: {
		include: ["src/**/*.test.ts", "test/**/*.test.ts", "web/**/*.test.ts"],
		globalSetup: ["test/support/servers.ts"],
		// A test that hangs is ended; one that a busy machine makes slow is not.
		testTimeout: 180_000,
		hookTimeout: 180_000,
		// What is waited for comes at once on a quiet machine, and not in a second on a busy one.
		expect: { poll: { timeout: 30_000 } },
		// Most tests wait for a database, a process or its end half of their time: three keep two cores busy.
		maxWorkers: 3,
		sequence: { sequencer: LongestFirst },
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
