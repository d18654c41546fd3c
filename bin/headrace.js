#!/usr/bin/env node
// Plain JavaScript that old versions of Node can read too, so that they get an answer instead of a syntax error.
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";

const NODE_MAJOR_MIN = 24;
const root = fileURLToPath(new URL("..", import.meta.url));

const words = process.argv.slice(2);

if (words.length === 1 && (words[0] === "--version" || words[0] === "-V")) {
	// Scripts ask for it often: answered before anything is loaded.
	process.stdout.write(`${JSON.parse(readFileSync(`${root}package.json`, "utf8")).version}\n`);
} else if (Number(process.versions.node.split(".")[0]) >= NODE_MAJOR_MIN) {
	const { main } = await import(pathToFileURL(entry()).href);
	await main(words);
} else {
	// A clone has a Node of its own, of the right version.
	const own = `${root}node_modules/.bin/node`;
	if (existsSync(own) && process.env.HEADRACE_NODE !== own) runWith(own);
	else {
		process.stderr.write(
			`headrace needs Node ${NODE_MAJOR_MIN} or newer; this is ${process.versions.node} (${process.execPath}).\n` +
				`Install it from https://nodejs.org, or run: npx --package node@${NODE_MAJOR_MIN} --package headrace headrace …\n`,
		);
		process.exitCode = 2;
	}
}

/** The built program; in a clone whose sources changed since, or where HEADRACE_SOURCES asks for them, the sources. */
function entry() {
	const built = `${root}dist/cli/main.js`;
	const source = `${root}src/cli/main.ts`;
	if (!existsSync(source)) return built;
	if (process.env.HEADRACE_SOURCES === "1") return source;
	if (!existsSync(built)) return source;
	const builtMs = statSync(built).mtimeMs;
	const changed = readdirSync(`${root}src`, { recursive: true, withFileTypes: true }).some(
		(file) => file.isFile() && statSync(`${file.parentPath}/${file.name}`).mtimeMs > builtMs,
	);
	return changed ? source : built;
}

/** Runs this command again with another Node, which gets our signals and gives us its end. */
function runWith(node) {
	const child = spawn(node, process.argv.slice(1), {
		stdio: "inherit",
		env: { ...process.env, HEADRACE_NODE: node },
	});
	for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
	child.on("error", (error) => {
		process.stderr.write(`headrace can't start ${node}: ${error.message}\n`);
		process.exitCode = 2;
	});
	child.on("exit", (code, signal) => {
		if (signal === null) process.exit(code ?? 1);
		for (const each of ["SIGINT", "SIGTERM", "SIGHUP"]) process.removeAllListeners(each);
		process.kill(process.pid, signal);
	});
}
