/** Draws what the demo prints as docs/demo.svg: `node scripts/picture.ts`. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const LINE_HEIGHT = 20;
const CHARACTER_WIDTH = 8.43;

const CLASSES: Record<string, string> = { 1: "bold", 2: "dim", 31: "red", 32: "green", 33: "yellow", 36: "cyan" };

const ESCAPE = String.fromCharCode(27);
const STYLE = new RegExp(`(${ESCAPE}\\[[\\d;]*m)`, "g");

const folder = mkdtempSync(join(tmpdir(), "headrace-picture-"));
try {
	const demo = spawnSync(process.execPath, [join(root, "bin/headrace.js"), "demo"], {
		cwd: folder,
		encoding: "utf8",
		env: { ...process.env, FORCE_COLOR: "1" },
	});
	if (demo.status !== 0) throw new Error(demo.stderr);
	writeFileSync(
		join(root, "docs/demo.svg"),
		draw(`\u001b[2m$\u001b[22m npm run demo\n${demo.stdout}`.trimEnd().split("\n")),
	);
} finally {
	rmSync(folder, { recursive: true, force: true });
}

function draw(lines: readonly string[]): string {
	const longest = Math.max(...lines.map((line) => line.replace(STYLE, "").length));
	const width = Math.ceil(longest * CHARACTER_WIDTH + 40);
	const height = lines.length * LINE_HEIGHT + 36;
	const text = lines.map(
		(line, index) => `<text x="20" y="${32 + index * LINE_HEIGHT}" xml:space="preserve">${spans(line)}</text>`,
	);
	return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="14" fill="#d7dde5">
<style>.bold{font-weight:700;fill:#fff}.dim{fill:#8d99a8}.red{fill:#ff8a80}.green{fill:#8fd694}.yellow{fill:#f2cc60}.cyan{fill:#79c7e3}</style>
<rect width="100%" height="100%" rx="10" fill="#161b22"/>
${text.join("\n")}
</svg>
`;
}

function spans(line: string): string {
	let open = "";
	return line
		.split(STYLE)
		.map((part) => {
			const code = part.startsWith(ESCAPE) ? part.slice(2, -1) : undefined;
			if (code !== undefined) {
				open = CLASSES[code] ?? "";
				return "";
			}
			const escaped = part.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
			return open === "" || escaped === "" ? escaped : `<tspan class="${open}">${escaped}</tspan>`;
		})
		.join("");
}
