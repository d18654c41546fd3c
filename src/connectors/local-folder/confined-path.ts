import { lstat, realpath } from "node:fs/promises";
import { join } from "node:path";
import { HeadraceError } from "../../core/index.ts";

/**
 * The segments of a relative path with `/` between them.
 * @throws E_PATH when it is absolute, empty, has `.`, `..`, a backslash, a NUL, or the name of a temporary file
 */
export function pathSegments(path: string): string[] {
	const segments = path.split("/");
	const wrong =
		/[\0\\]/.test(path) ||
		segments.some((segment) => segment === "" || segment === "." || segment === ".." || segment.startsWith(".tmp-"));
	if (wrong) throw new HeadraceError("E_PATH", `${JSON.stringify(path)} is not a path inside the folder`);
	return segments;
}

/**
 * The place of a relative path on disk. Every folder on the way that exists must be a real one: a symbolic link could
 * lead anywhere.
 * @throws E_PATH
 */
export async function confinedPath(root: string, path: string): Promise<string> {
	const segments = pathSegments(path);
	let folder = root;
	for (const segment of segments.slice(0, -1)) {
		folder = join(folder, segment);
		const found = await lstat(folder).catch((error: NodeJS.ErrnoException) => {
			if (error.code === "ENOENT" || error.code === "ENOTDIR") return null;
			throw error;
		});
		if (found === null) break;
		if (found.isSymbolicLink())
			throw new HeadraceError("E_PATH", `${JSON.stringify(path)} goes through a symbolic link`);
	}
	const place = join(root, ...segments);
	const found = await lstat(place).catch(() => null);
	if (found?.isSymbolicLink()) throw new HeadraceError("E_PATH", `${JSON.stringify(path)} is a symbolic link`);
	return place;
}

/** The folder without symbolic links; it may itself be reached through one, since the user named it. */
export function realRoot(root: string): Promise<string> {
	return realpath(root);
}
