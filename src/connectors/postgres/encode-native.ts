/**
 * PostgreSQL's own types from the text that its output functions print: for copies from PostgreSQL, where a column keeps
 * its type. Each `…recv` function of src/backend/utils/adt says what is written here.
 */
import { HeadraceError } from "../../core/index.ts";
import { parseTime } from "../../formats/index.ts";
import type { ColumnEncoder } from "./encode.ts";
import { preparedEncoder, textAt } from "./encode-prepared.ts";
import type { Scratch } from "./scratch.ts";

type Write = (text: string, scratch: Scratch) => boolean;

/** Undefined for types that are not kept. */
export function nativeEncoder(pgType: string): ColumnEncoder | undefined {
	const name = pgType.replace(/\(.*$/, "");
	const write = WRITERS[name];
	if (write === undefined) return undefined;
	return preparedEncoder((column, row, scratch) => {
		if (!write(textAt(column, row), scratch))
			throw new HeadraceError("E_INTERNAL", `column ${column.name}: a value is not the text of a ${name}`);
	});
}

const NUMERIC_SIGNS: Readonly<Record<string, number>> = { NaN: 0xc000, Infinity: 0xd000, "-Infinity": 0xf000 };
const NEGATIVE = 0x4000;

/** Groups of four digits around the point, zeros at both ends allowed. Up to 131,072 digits before it. */
function writeNumeric(text: string, scratch: Scratch): boolean {
	const special = NUMERIC_SIGNS[text];
	const match = special === undefined ? /^(-?)(\d*)(?:\.(\d*))?$/.exec(text) : null;
	if (special === undefined && match === null) return false;
	const [, sign = "", whole = "", fraction = ""] = match ?? [];
	const before = Math.ceil(whole.length / 4);
	const after = Math.ceil(fraction.length / 4);
	const digits = whole.padStart(before * 4, "0") + fraction.padEnd(after * 4, "0");
	const at = scratch.take(8 + (before + after) * 2);
	const { view } = scratch;
	view.setUint16(at, before + after);
	view.setInt16(at + 2, before - 1);
	view.setUint16(at + 4, special ?? (sign === "-" ? NEGATIVE : 0));
	view.setUint16(at + 6, fraction.length);
	for (let group = 0; group < before + after; group++)
		view.setInt16(at + 8 + group * 2, Number(digits.slice(group * 4, group * 4 + 4)));
	return true;
}

/** Number of bits, then the bits from the highest. */
function writeBits(text: string, scratch: Scratch): boolean {
	if (!/^[01]*$/.test(text)) return false;
	const bytes = Math.ceil(text.length / 8);
	const at = scratch.take(4 + bytes);
	scratch.view.setInt32(at, text.length);
	for (let byte = 0; byte < bytes; byte++)
		scratch.bytes[at + 4 + byte] = Number.parseInt(text.slice(byte * 8, byte * 8 + 8).padEnd(8, "0"), 2);
	return true;
}

/** Family (2: IPv4, 3: IPv6), bits of the network, whether it is a cidr, then the address with its length. */
function writeAddress(isCidr: boolean): Write {
	return (text, scratch) => {
		const [host = "", network] = text.split("/");
		const address = host.includes(":") ? ipv6(host) : ipv4(host);
		if (address === null) return false;
		const at = scratch.take(4 + address.length);
		const { bytes } = scratch;
		bytes[at] = address.length === 4 ? 2 : 3;
		bytes[at + 1] = network === undefined ? address.length * 8 : Number(network);
		bytes[at + 2] = isCidr ? 1 : 0;
		bytes[at + 3] = address.length;
		bytes.set(address, at + 4);
		return true;
	};
}

function ipv4(text: string): number[] | null {
	const parts = text.split(".").map(Number);
	return parts.length === 4 && parts.every((part) => part >= 0 && part <= 255) ? parts : null;
}

function ipv6(text: string): number[] | null {
	const wordsOf = (part: string): number[] =>
		part === ""
			? []
			: part.split(":").flatMap((word) => {
					const embedded = word.includes(".") ? ipv4(word) : null;
					if (embedded === null) return [Number.parseInt(word, 16)];
					return [embedded[0]! * 256 + embedded[1]!, embedded[2]! * 256 + embedded[3]!];
				});
	const [head = "", tail] = text.split("::");
	const [first, last] = [wordsOf(head), wordsOf(tail ?? "")];
	const missing = 8 - first.length - last.length;
	if (missing < 0 || (tail === undefined && missing > 0)) return null;
	const words = [...first, ...new Array<number>(missing).fill(0), ...last];
	return words.some(Number.isNaN) ? null : words.flatMap((word) => [word >> 8, word & 0xff]);
}

/** The bytes as they are written: 08:00:2b:01:02:03. */
function writeHardware(text: string, scratch: Scratch): boolean {
	const bytes = text.split(":").map((byte) => Number.parseInt(byte, 16));
	if (bytes.some(Number.isNaN)) return false;
	const at = scratch.take(bytes.length);
	scratch.bytes.set(bytes, at);
	return true;
}

/** Microseconds, then the zone in seconds west of UTC. */
function writeTimeWithZone(text: string, scratch: Scratch): boolean {
	const match = /^([\d:.]+)([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?$/.exec(text);
	const micros = match === null ? null : parseTime(match[1]!);
	if (match === null || micros === null) return false;
	const [, , sign, hours, minutes = "0", seconds = "0"] = match;
	const east = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
	const at = scratch.take(12);
	scratch.view.setBigInt64(at, micros);
	scratch.view.setInt32(at + 8, sign === "-" ? east : -east);
	return true;
}

const WRITERS: Readonly<Record<string, Write>> = {
	numeric: writeNumeric,
	bit: writeBits,
	"bit varying": writeBits,
	inet: writeAddress(false),
	cidr: writeAddress(true),
	macaddr: writeHardware,
	macaddr8: writeHardware,
	timetz: writeTimeWithZone,
};
