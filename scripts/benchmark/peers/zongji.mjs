/** Reads the rows of a table from a change log into objects and drops them: one contestant of `binlog.ts`. */
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const { host, port, user, password, database, table, rows, file, offset } = JSON.parse(process.argv[2]);
const require = createRequire(join(process.env["HEADRACE_BENCH_ZONGJI"], "x.js"));
const { default: ZongJi } = await import(pathToFileURL(require.resolve("@vlasky/zongji")).href);
const zongji = new ZongJi({ host, port, user, password, dateStrings: true });
const begun = performance.now();
let read = 0;
zongji.on("error", (error) => {
	process.stderr.write(`${error.message}\n`);
	process.exit(1);
});
zongji.on("binlog", (event) => {
	if (event.getTypeName() !== "WriteRows") return;
	read += event.rows.length;
	if (read < rows) return;
	process.stdout.write(JSON.stringify({ seconds: (performance.now() - begun) / 1000 }), () => process.exit(0));
});
zongji.start({
	filename: file,
	position: offset,
	includeEvents: ["rotate", "tablemap", "writerows"],
	includeSchema: { [database]: [table] },
});
