/**
 * `npm run build`: type declarations by tsc, and the program in a few files, since reading 500 modules takes longer than
 * a run with nothing to do (docs/decisions/0008-bundled-program.md). Database drivers stay packages of their own. The
 * page of `headrace serve` goes beside it, into dist/web.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { rolldown } from "rolldown";
import { buildPage } from "./build-page.ts";

const root = join(import.meta.dirname, "..");
const dist = join(root, "dist");

/** Packages that importers need for our declarations; the program has their code inside. */
const TYPES_ONLY = ["zod"];

interface Manifest {
	readonly name: string;
	readonly version: string;
	readonly license?: string;
	readonly dependencies: Readonly<Record<string, string>>;
	readonly peerDependencies: Readonly<Record<string, string>>;
	readonly exports: Readonly<Record<string, { readonly default: string }>>;
}

function manifestOf(folder: string): Manifest {
	return JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest;
}

function writeDeclarations(): void {
	const tsc = join(root, "node_modules/typescript/bin/tsc");
	const { status } = spawnSync(process.execPath, [tsc, "-p", "tsconfig.build.json"], { cwd: root, stdio: "inherit" });
	if (status !== 0) process.exit(status ?? 1);
}

/**
 * The command line, each file that package.json offers to importers, as its path without an extension, and the stand-ins
 * of `headrace rehearse`, which nothing imports: they are loaded by their address.
 */
function entries(manifest: Manifest): Record<string, string> {
	const offered = Object.values(manifest.exports).map((each) => each.default.replace(/^\.\/dist\/|\.js$/g, ""));
	const program = ["cli/main", ...offered].map((name) => [name, join(root, `src/${name}.ts`)]);
	return Object.fromEntries([...program, ["stand-ins/index", join(root, "test/stand-ins/index.ts")]]);
}

/** Gives the modules that the program is made of. */
async function writeProgram(manifest: Manifest): Promise<string[]> {
	const packages = { ...manifest.dependencies, ...manifest.peerDependencies };
	const kept = Object.keys(packages).filter((name) => !TYPES_ONLY.includes(name));
	await using build = await rolldown({
		input: entries(manifest),
		platform: "node",
		external: (id) => kept.some((name) => id === name || id.startsWith(`${name}/`)),
		onLog(level, log) {
			if (level === "warn") throw new Error(log.message);
		},
	});
	const { output } = await build.write({
		dir: dist,
		format: "esm",
		entryFileNames: "[name].js",
		chunkFileNames: "parts/[name]-[hash].js",
	});
	return output.flatMap((part) => (part.type === "chunk" ? part.moduleIds : []));
}

/** The packages that modules are of, by their folders. */
function packagesOf(modules: readonly string[]): string[] {
	const folders = modules.flatMap((id) => /^.*[/\\]node_modules[/\\](?:@[^/\\]+[/\\])?[^/\\]+/.exec(id)?.[0] ?? []);
	return [...new Set(folders)].sort();
}

/** Their licences ask that the text goes where the code goes. */
function writeLicences(folders: readonly string[]): void {
	const texts = folders.map((folder) => {
		const { name, version, license } = manifestOf(folder);
		const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
		const text = file === undefined ? `Licence: ${license}` : readFileSync(join(folder, file), "utf8").trim();
		return `${name} ${version}\n\n${text}\n`;
	});
	writeFileSync(join(dist, "THIRD-PARTY-LICENSES.txt"), texts.join(`\n${"-".repeat(80)}\n\n`));
}

if (existsSync(dist)) rmSync(dist, { recursive: true });
const manifest = manifestOf(root);
writeDeclarations();
const modules = [...(await writeProgram(manifest)), ...(await buildPage(join(dist, "web")))];
writeLicences(packagesOf(modules));
