import { type ColumnType, type Field, HeadraceError } from "../../core/index.ts";
import { type ByteSetter, byteSetter, parseTimestamp } from "../../formats/index.ts";

const setBoolean: ByteSetter = (column, row, bytes, start, end) => {
	const word = bytes.toString("latin1", start, Math.min(end, start + 6)).toLowerCase();
	if (word !== "true" && word !== "false") return false;
	column.u8[row] = word === "true" ? 1 : 0;
	return true;
};

/** 1 and 0 for the booleans of a file in lenient mode. */
function integerSetter(type: ColumnType): ByteSetter {
	const set = byteSetter(type);
	return (column, row, bytes, start, end) => {
		const first = bytes[start]! | 32;
		if (first !== 116 && first !== 102) return set(column, row, bytes, start, end);
		const word = bytes.toString("latin1", start, Math.min(end, start + 6)).toLowerCase();
		if (word !== "true" && word !== "false") return false;
		column.i64[row] = word === "true" ? 1n : 0n;
		return true;
	};
}

/** A time with a zone as the time of UTC, which is what `lenient` makes of it. */
function timestampSetter(): ByteSetter {
	const set = byteSetter({ kind: "timestamp" });
	return (column, row, bytes, start, end) => {
		if (set(column, row, bytes, start, end)) return true;
		const micros = parseTimestamp(bytes.toString("latin1", start, Math.min(end, start + 64)), true);
		if (micros === null) return false;
		column.i64[row] = micros;
		return true;
	};
}

/** The setter of a column of a text file; `lenient` lets booleans be integers and zoned times plain ones. */
export function columnSetter(type: ColumnType, lenient: boolean): ByteSetter {
	if (type.kind === "boolean") return setBoolean;
	if (lenient && type.kind === "int64") return integerSetter(type);
	if (lenient && type.kind === "timestamp") return timestampSetter();
	return byteSetter(type);
}

/** The error of a value that is none of its column's type. */
export function unfitValue(path: string, line: number, field: Field, typeText: string): HeadraceError {
	return new HeadraceError("E_VALUE", `${path}:${line}: column ${field.name} has a value that is no ${typeText}`, {
		file: path,
		line,
		hint: `Write columns: { ${field.name}: { type: text } }.`,
	});
}

/** The error of text that is not UTF-8, where no policy replaces it. */
export function invalidText(path: string, line: number, name: string): HeadraceError {
	return new HeadraceError("E_ENCODING", `${path}:${line}: column ${name} has text that is not UTF-8`, {
		file: path,
		line,
		hint: "Set types: { invalid_text: replace }, or convert the file: iconv -f latin1 -t utf-8.",
	});
}
