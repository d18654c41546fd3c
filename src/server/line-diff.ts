/** A line of two texts that are compared. */
export interface DiffLine {
	readonly kind: "same" | "added" | "removed";
	readonly text: string;
}

/** Longer texts are compared by their first and last lines that are equal, and as a whole between. */
const LINES_MAX = 2_000;

/** How `after` comes of `before`, line by line: the longest common subsequence stays. */
export function lineDiff(before: string, after: string): DiffLine[] {
	const [a, b] = [linesOf(before), linesOf(after)];
	let start = 0;
	while (start < a.length && start < b.length && a[start] === b[start]) start++;
	let end = 0;
	while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
	const same = (text: string): DiffLine => ({ kind: "same", text });
	return [
		...a.slice(0, start).map(same),
		...middleDiff(a.slice(start, a.length - end), b.slice(start, b.length - end)),
		...a.slice(a.length - end).map(same),
	];
}

function linesOf(text: string): string[] {
	return text === "" ? [] : text.replace(/\n$/, "").split("\n");
}

function middleDiff(a: readonly string[], b: readonly string[]): DiffLine[] {
	const removed = a.map((text): DiffLine => ({ kind: "removed", text }));
	const added = b.map((text): DiffLine => ({ kind: "added", text }));
	if (a.length === 0 || b.length === 0 || a.length > LINES_MAX || b.length > LINES_MAX) return [...removed, ...added];
	// length[i][j]: of the longest common subsequence of a from i on and b from j on.
	const width = b.length + 1;
	const length = new Uint16Array((a.length + 1) * width);
	for (let i = a.length - 1; i >= 0; i--)
		for (let j = b.length - 1; j >= 0; j--)
			length[i * width + j] =
				a[i] === b[j]
					? length[(i + 1) * width + j + 1]! + 1
					: Math.max(length[(i + 1) * width + j]!, length[i * width + j + 1]!);
	const lines: DiffLine[] = [];
	let [i, j] = [0, 0];
	while (i < a.length && j < b.length) {
		if (a[i] === b[j]) {
			lines.push({ kind: "same", text: a[i++]! });
			j++;
		} else if (length[(i + 1) * width + j]! >= length[i * width + j + 1]!) lines.push(removed[i++]!);
		else lines.push(added[j++]!);
	}
	return [...lines, ...removed.slice(i), ...added.slice(j)];
}
