import { HeadraceError } from "../../../core/index.ts";
import type { MysqlConnection } from "../connection.ts";
import { quoteString } from "../sql.ts";

/** Bytes of a character set as UTF-8, the way the server itself converts them for a SELECT. */
export type Convert = (bytes: Buffer, start: number, end: number) => Buffer;

/** Bytes that are UTF-8 already, or are no text. */
const AS_THEY_ARE = new Set(["utf8", "utf8mb3", "utf8mb4", "ascii", "binary"]);
/** Where a byte from 0x80 on may begin a character of two or three. */
const MULTIBYTE = new Set(["big5", "cp932", "eucjpms", "euckr", "gb18030", "gb2312", "gbk", "sjis", "ujis"]);
const THREE_BYTES = new Set(["eucjpms", "ujis"]);
const CODES_PER_QUESTION = 2000;
const QUESTION_MARK = Buffer.from("?");
const UTF8_BINARY_ID = 63;

/**
 * How text of every character set becomes UTF-8. The tables of those that are not Unicode are asked of the server, so
 * that a value from the log is the one that a SELECT gives.
 */
export class Charsets {
	readonly #byCollation: ReadonlyMap<number, string>;
	readonly #tables = new Map<string, Promise<Convert | null>>();
	readonly #ready = new Map<string, Convert | null>();

	private constructor(byCollation: ReadonlyMap<number, string>) {
		this.#byCollation = byCollation;
	}

	static async read(connection: MysqlConnection): Promise<Charsets> {
		// MariaDB 10.10 and later gives collations without a character set of their own an id for each one they apply to.
		const sources = [
			"SELECT ID, CHARACTER_SET_NAME FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY",
			"SELECT ID, CHARACTER_SET_NAME FROM information_schema.COLLATIONS",
		];
		const found = new Map<number, string>();
		for (const sql of sources) {
			try {
				for (const [id, name] of await connection.rows(sql))
					if (id !== null && name !== null && id !== undefined && name !== undefined) found.set(Number(id), name);
			} catch (error) {
				if (!(error instanceof HeadraceError) || error.code !== "E_UNKNOWN_COLUMN") throw error;
			}
		}
		found.set(UTF8_BINARY_ID, "binary");
		return new Charsets(found);
	}

	/** Of a collation's id in the log; undefined when the server no longer has it. */
	nameOf(collation: number): string | undefined {
		return this.#byCollation.get(collation);
	}

	/** Makes a character set's conversion ready for `converter`. */
	async load(connection: MysqlConnection, name: string): Promise<void> {
		let table = this.#tables.get(name);
		if (table === undefined) {
			table = loadConvert(connection, name);
			this.#tables.set(name, table);
		}
		this.#ready.set(name, await table);
	}

	isReady(name: string): boolean {
		return this.#ready.has(name);
	}

	/** The conversion to UTF-8; null when the bytes are UTF-8 as they are. */
	converter(name: string): Convert | null {
		const convert = this.#ready.get(name);
		if (convert === undefined) throw new HeadraceError("E_INTERNAL", `character set ${name} was not made ready`);
		return convert;
	}
}

async function loadConvert(connection: MysqlConnection, name: string): Promise<Convert | null> {
	if (AS_THEY_ARE.has(name)) return null;
	if (name === "ucs2" || name === "utf16") return (bytes, start, end) => fromUtf16(bytes, start, end, true);
	if (name === "utf16le") return (bytes, start, end) => fromUtf16(bytes, start, end, false);
	if (name === "utf32") return fromUtf32;
	if (!/^\w+$/.test(name))
		throw new HeadraceError("E_UNSUPPORTED", `the character set ${quoteString(name)} is not known`);
	const codes = Array.from({ length: 256 }, (_, code) => code);
	const singles = await askCodes(connection, name, codes, 1);
	if (!MULTIBYTE.has(name)) return fromTable(singles, new Map(), new Map(), null);
	const leads = codes.filter((code) => code >= 0x80 && !singles.has(code));
	const pairs = leads.flatMap((lead) =>
		Array.from({ length: 0xff - 0x30 }, (_, trail) => (lead << 8) | (trail + 0x30)),
	);
	const doubles = await askCodes(connection, name, pairs, 2);
	const triples = THREE_BYTES.has(name)
		? await askCodes(
				connection,
				name,
				Array.from({ length: 94 * 94 }, (_, n) => 0x8f0000 | ((0xa1 + Math.floor(n / 94)) << 8) | (0xa1 + (n % 94))),
				3,
			)
		: new Map<number, Buffer>();
	// Its characters of four bytes are defined by arithmetic that every implementation shares.
	return fromTable(singles, doubles, triples, name === "gb18030" ? new TextDecoder("gb18030") : null);
}

/** What the server makes of each code; codes that are no character are left out. */
async function askCodes(
	connection: MysqlConnection,
	charset: string,
	codes: readonly number[],
	size: number,
): Promise<Map<number, Buffer>> {
	const found = new Map<number, Buffer>();
	for (let from = 0; from < codes.length; from += CODES_PER_QUESTION) {
		const some = codes.slice(from, from + CODES_PER_QUESTION);
		const answers = some.map((code) => {
			const hex = code.toString(16).padStart(size * 2, "0");
			return `COALESCE(HEX(CONVERT(CONVERT(x'${hex}' USING ${charset}) USING utf8mb4)), '')`;
		});
		const [row] = await connection.rows(`SELECT CONCAT_WS(',', ${answers.join(",")})`);
		for (const [index, hex] of (row?.[0] ?? "").split(",").entries()) {
			const made = Buffer.from(hex, "hex");
			// A question mark stands for what is no character, more than one for bytes that were taken apart.
			const text = made.toString("utf8");
			if ([...text].length === 1 && (text !== "?" || some[index] === 0x3f)) found.set(some[index]!, made);
		}
	}
	return found;
}

function fromTable(
	singles: ReadonlyMap<number, Buffer>,
	doubles: ReadonlyMap<number, Buffer>,
	triples: ReadonlyMap<number, Buffer>,
	four: InstanceType<typeof TextDecoder> | null,
): Convert {
	const table = Array.from({ length: 256 }, (_, code) => singles.get(code));
	const asciiIsSame = table.every((made, code) => code > 127 || (made?.length === 1 && made[0] === code));
	return (bytes, start, end) => {
		let at = start;
		if (asciiIsSame) while (at < end && bytes[at]! < 128) at++;
		if (at === end) return bytes.subarray(start, end);
		const out = Buffer.allocUnsafe(at - start + (end - at) * 4);
		let length = bytes.copy(out, 0, start, at);
		while (at < end) {
			const code = bytes[at]!;
			let made = table[code];
			let size = 1;
			if (made === undefined && at + 1 < end) {
				made = doubles.get((code << 8) | bytes[at + 1]!);
				size = 2;
				if (made === undefined && at + 2 < end) {
					made = triples.get((code << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!);
					size = 3;
				}
				if (made === undefined && four !== null && at + 3 < end) {
					made = Buffer.from(four.decode(bytes.subarray(at, at + 4)), "utf8");
					size = 4;
				}
			}
			if (made === undefined) {
				made = QUESTION_MARK;
				size = 1;
			}
			length += made.copy(out, length);
			at += size;
		}
		return out.subarray(0, length);
	};
}

function fromUtf16(bytes: Buffer, start: number, end: number, swapped: boolean): Buffer {
	const units = Buffer.from(bytes.subarray(start, start + ((end - start) & ~1)));
	if (swapped) units.swap16();
	return Buffer.from(units.toString("utf16le").replace(/\p{Surrogate}/gu, "?"), "utf8");
}

function fromUtf32(bytes: Buffer, start: number, end: number): Buffer {
	let text = "";
	for (let at = start; at + 4 <= end; at += 4) {
		const code = bytes.readUInt32BE(at);
		text += code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? "?" : String.fromCodePoint(code);
	}
	return Buffer.from(text, "utf8");
}
