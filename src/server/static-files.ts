import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { extname, join, relative, sep } from "node:path";
import { gzipSync } from "node:zlib";

const TYPES: Readonly<Record<string, string>> = {
	".html": "text/html; charset=utf-8",
	".js": "text/javascript; charset=utf-8",
	".css": "text/css; charset=utf-8",
	".json": "application/json",
	".svg": "image/svg+xml",
	".png": "image/png",
	".ico": "image/x-icon",
	".woff2": "font/woff2",
	".webmanifest": "application/manifest+json",
	".txt": "text/plain; charset=utf-8",
};
const PACKED = new Set([".html", ".js", ".css", ".json", ".svg", ".txt", ".webmanifest"]);
/** A name with a hash of its content never means anything else: `index-BxY3_k2Q.js`. */
const HASHED = /[-.][\w-]{8,}\.\w+$/;
const PACK_BYTES_MIN = 1_000;

interface StaticFile {
	readonly bytes: Uint8Array<ArrayBuffer>;
	readonly packed: Uint8Array<ArrayBuffer> | null;
	readonly type: string;
	readonly etag: string;
	readonly hashed: boolean;
}

/** Where the page is, in a checkout and in the package. */
export const PAGE_FOLDER: string = join(import.meta.dirname, "../../dist/web");

/**
 * The files of the page. All are read at once, being few and small: what is asked for is looked up by its name, and no
 * name leads out of the folder.
 */
export class StaticFiles {
	readonly #files = new Map<string, StaticFile>();

	constructor(folder: string = PAGE_FOLDER) {
		for (const path of filesOf(folder)) {
			const extension = extname(path);
			const type = TYPES[extension];
			// Source maps and whatever else lies there are nobody's business.
			if (type === undefined) continue;
			const bytes = new Uint8Array(readFileSync(path));
			const name = `/${relative(folder, path).split(sep).join("/")}`;
			this.#files.set(name, {
				bytes,
				packed: PACKED.has(extension) && bytes.length >= PACK_BYTES_MIN ? new Uint8Array(gzipSync(bytes)) : null,
				type,
				etag: `"${createHash("sha256").update(bytes).digest("base64url").slice(0, 22)}"`,
				hashed: HASHED.test(name) && name !== "/index.html",
			});
		}
	}

	get isEmpty(): boolean {
		return !this.#files.has("/index.html");
	}

	/** The file of a path, or the page itself for a path of its own; null for what is not there. */
	answer(path: string, headers: Headers): Response | null {
		// Not by the look of its end: `/pipelines/shop/tables/shop.orders` is a page of the page's own.
		const isPage =
			path === "/" || (!path.startsWith("/assets/") && (headers.get("accept") ?? "").includes("text/html"));
		const file = this.#files.get(path) ?? (isPage ? this.#files.get("/index.html") : undefined);
		if (file === undefined) return null;
		const shared: Record<string, string> = {
			"Content-Type": file.type,
			ETag: file.etag,
			Vary: "Accept-Encoding",
			"Cache-Control": file.hashed ? "public, max-age=31536000, immutable" : "no-cache",
		};
		if (headers.get("if-none-match") === file.etag) return new Response(null, { status: 304, headers: shared });
		const isPacked = file.packed !== null && /\bgzip\b/.test(headers.get("accept-encoding") ?? "");
		if (!isPacked || file.packed === null) return new Response(file.bytes, { headers: shared });
		return new Response(file.packed, { headers: { ...shared, "Content-Encoding": "gzip" } });
	}
}

function filesOf(folder: string): string[] {
	try {
		return readdirSync(folder, { recursive: true, withFileTypes: true })
			.filter((entry) => entry.isFile())
			.map((entry) => join(entry.parentPath, entry.name));
	} catch {
		return [];
	}
}
