import { HeadraceError } from "../../core/index.ts";
import { compressionOf, filePieces } from "../../formats/index.ts";

/**
 * The content of a text file without a byte order mark.
 * @throws E_ENCODING when it is UTF-16, and what `filePieces` throws
 */
export async function* textPieces(path: string, signal?: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
	let first = true;
	for await (const piece of filePieces(path, await compressionOf(path), {}, signal)) {
		if (!first) {
			yield piece;
			continue;
		}
		first = false;
		const [a, b, c] = piece;
		if ((a === 0xff && b === 0xfe) || (a === 0xfe && b === 0xff))
			throw new HeadraceError("E_ENCODING", `${path} is UTF-16`, {
				file: path,
				hint: `Convert it: iconv -f utf-16 -t utf-8 '${path}' > utf8.csv`,
			});
		yield a === 0xef && b === 0xbb && c === 0xbf ? piece.subarray(3) : piece;
	}
}

/** The beginning of a text file, at least `bytes` long unless the file is shorter; `whole` says that it is. */
export async function textHead(
	path: string,
	bytes: number,
): Promise<{ readonly head: Buffer; readonly whole: boolean }> {
	const pieces: Buffer[] = [];
	let length = 0;
	for await (const piece of textPieces(path)) {
		pieces.push(piece);
		length += piece.length;
		if (length >= bytes) return { head: Buffer.concat(pieces), whole: false };
	}
	return { head: Buffer.concat(pieces), whole: true };
}

/** An error of a cutter with the file, and the line in the message. */
export function placed(error: unknown, path: string): unknown {
	if (!(error instanceof HeadraceError) || error.place.file !== undefined) return error;
	const { line } = error.place;
	const where = line === undefined ? path : `${path}:${line}`;
	return new HeadraceError(error.code, `${where}: ${error.message}`, {
		...error.place,
		file: path,
		hint: error.hint,
		cause: error,
	});
}
