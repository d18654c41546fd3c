import { HeadraceError } from "../../core/index.ts";

const SPACE = new Set(["ENOSPC", "EFBIG", "EDQUOT"]);
const RIGHTS = new Set(["EACCES", "EPERM", "EROFS"]);

/** A fault of the file system as a Headrace error. */
export function folderError(error: unknown, doing: string): HeadraceError {
	if (error instanceof HeadraceError) return error;
	const { code = "", message } = error as NodeJS.ErrnoException;
	if (SPACE.has(code)) return new HeadraceError("E_NO_SPACE", `no space left ${doing}`, { cause: error });
	if (RIGHTS.has(code))
		return new HeadraceError("E_RIGHTS", `not allowed ${doing}`, {
			hint: "Give this user the right to write the folder: `chmod u+rwx` or `chown`.",
			cause: error,
		});
	if (code === "ELOOP") return new HeadraceError("E_PATH", `a symbolic link is in the way ${doing}`, { cause: error });
	return new HeadraceError("E_DESTINATION", `${message} ${doing}`, { cause: error });
}
