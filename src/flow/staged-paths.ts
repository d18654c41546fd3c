/** One path segment: letters, digits, `-`, `_`, `.` and `@` stay, all else is percent-encoded; never `.` or `..`. */
export function pathSegment(name: string): string {
	const encoded = Array.from(new TextEncoder().encode(name), (byte) => {
		const char = String.fromCharCode(byte);
		return /[A-Za-z0-9_@.-]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
	}).join("");
	return /^\.+$/.test(encoded) ? encoded.replaceAll(".", "%2E") : encoded;
}

const digits = (value: number) => String(value).padStart(20, "0");

/** Everything that one stream of one pipeline ever stages. */
export function streamPrefix(pipeline: string, stream: string): string {
	return `${pathSegment(pipeline)}/${pathSegment(stream)}/`;
}

/** The manifest that follows the position row's `seq`: one name, so that two runs can't both seal it. */
export function manifestPath(pipeline: string, stream: string, seq: number): string {
	return `${streamPrefix(pipeline, stream)}manifests/${digits(seq)}.json`;
}

/** Files of one extract: the epoch is in the name, so that those of a dead run are known by it. */
export function filesPrefix(pipeline: string, stream: string, epoch: number, loadId: string): string {
	return `${streamPrefix(pipeline, stream)}files/${digits(epoch)}-${loadId}/`;
}

/** The epoch in a staged file's path; null when it is not one of ours. */
export function epochOfPath(path: string): number | null {
	const match = /\/files\/(\d{20})-[0-9a-f]+\//.exec(path);
	return match === null ? null : Number(match[1]);
}
