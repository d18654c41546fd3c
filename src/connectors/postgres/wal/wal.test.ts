/** Laws of the parts of PostgreSQL's change log: whatever comes, in whatever pieces. */
import { describe, expect, test } from "vitest";
import { Column, type ColumnType, DEFAULT_TYPE_POLICY } from "../../../core/index.ts";
import { valueText } from "../../../formats/index.ts";
import { type DecodeName, decoderOf } from "../decoders.ts";
import { FrameCutter } from "./frames.ts";
import { decodeWalPosition, encodeWalPosition, formatLsn, parseLsn } from "./position.ts";
import { printed, type Transcode, WireValues } from "./printed.ts";
import { jsonTranscode, listTranscode } from "./printed-json.ts";
import { numericTranscode } from "./printed-numeric.ts";
import { printedTimes } from "./printed-time.ts";
import { proveSlot, type Slot, slotName } from "./slot.ts";
import { Spools } from "./spool.ts";
import { switchPoint } from "./walsender.ts";

/** Small and repeatable. */
function random(seed: number): () => number {
	let state = seed;
	return () => {
		state = (state * 1664525 + 1013904223) >>> 0;
		return state / 4294967296;
	};
}

function transcoded(transcode: Transcode, texts: readonly string[]): Buffer[] {
	const bytes = Buffer.from(texts.join(""));
	const lengths = Int32Array.from(texts, (text) => Buffer.byteLength(text));
	const offsets = new Int32Array(texts.length);
	for (let i = 1; i < texts.length; i++) offsets[i] = offsets[i - 1]! + lengths[i - 1]!;
	const out = new WireValues();
	transcode(bytes, offsets, lengths, 0, texts.length, out);
	return texts.map((_, i) => Buffer.from(out.bytes.subarray(out.offsets[i]!, out.offsets[i]! + out.lengths[i]!)));
}

function decoded(
	transcode: Transcode,
	name: DecodeName,
	type: ColumnType,
	texts: readonly string[],
): (string | null)[] {
	const column = new Column("c", type, 64 * Math.ceil(texts.length / 64));
	const values = transcoded(transcode, texts);
	const lengths = Int32Array.from(values, (value) => value.length);
	const offsets = new Int32Array(values.length);
	for (let i = 1; i < values.length; i++) offsets[i] = offsets[i - 1]! + lengths[i - 1]!;
	decoderOf(name, "c", type, DEFAULT_TYPE_POLICY)(Buffer.concat(values), offsets, lengths, 0, texts.length, column, 0);
	return texts.map((_, row) => valueText(column, row));
}

describe("what is printed becomes what is read", () => {
	test("numbers of any size", () => {
		const next = random(1);
		const texts = Array.from({ length: 2000 }, () => {
			const digits = Array.from({ length: 1 + Math.floor(next() * 28) }, () => Math.floor(next() * 10)).join("");
			const whole = digits.replace(/^0+(?=\d)/, "");
			const fraction = Array.from({ length: 10 }, () => Math.floor(next() * 10)).join("");
			const text = `${whole}.${fraction}`;
			return next() < 0.5 && /[1-9]/.test(text) ? `-${text}` : text;
		});
		expect(decoded(numericTranscode(), "decimal", { kind: "decimal", precision: 38, scale: 10 }, texts)).toEqual(texts);
	});

	test("integers at their ends and between", () => {
		const next = random(2);
		const texts = [
			"0",
			"-1",
			"9223372036854775807",
			"-9223372036854775808",
			"4294967296",
			"-4294967297",
			"999999999999999",
		];
		for (let i = 0; i < 1000; i++)
			texts.push(String(BigInt.asIntN(64, BigInt(Math.floor(next() * 2 ** 52)) * BigInt(Math.floor(next() * 4096)))));
		expect(decoded(printed.int8, "int8", { kind: "int64" }, texts)).toEqual(texts);
	});

	test("every day of 12,000 years before and after Christ, and times of all of them", () => {
		const texts: string[] = [];
		for (let year = 1; year < 12_000; year += 7)
			for (const day of ["01-01", "02-28", "03-01", "12-31"]) texts.push(`${String(year).padStart(4, "0")}-${day}`);
		texts.push("2000-02-29", "1900-02-28", "5874897-12-31", "infinity", "-infinity");
		expect(decoded(printedTimes.date, "date", { kind: "date" }, texts)).toEqual(texts);
		const times = texts
			.slice(0, -3)
			.map((text, i) => `${text} 23:59:59.${String((i * 7919) % 999_999).padStart(6, "0")}`);
		const canonical = (text: string | null) => (text!.includes(".") ? text!.replace(/\.?0+$/, "") : text!);
		expect(decoded(printedTimes.timestamp, "timestamp", { kind: "timestamp" }, times).map(canonical)).toEqual(
			times.map(canonical),
		);
	});

	test("floats that lie just beside the middle of two", () => {
		// 1 + 2^-24 is the middle between 1 and the next float; a digit far behind decides.
		const middle = "1.000000059604644775390625";
		const values = transcoded(printed.float4, [middle, `${middle}000000001`, "1.00000005960464477539062499999"]);
		expect(values.map((value) => value.readFloatBE())).toEqual([1, Math.fround(1.0000001192092896), 1]);
	});

	test("what is not of the type's form is refused, never guessed", () => {
		for (const [transcode, text] of [
			[printed.int4, "1x"],
			[printed.bool, "true"],
			[printed.uuid, "zz"],
			[printed.hex, "\\x0"],
			[numericTranscode(), "1,5"],
			[printedTimes.date, "21/11/2026"],
			[printedTimes.timestamp, "2026-11-21 10:00:00+05"],
			[printedTimes.interval, "1 mon"],
			[listTranscode("text"), "1,2"],
		] as const)
			expect(() => transcoded(transcode, [text]), text).toThrow(expect.objectContaining({ code: "E_CORRUPT_EVENT" }));
		const row = jsonTranscode({ kind: "row", names: ["a", "b"], fields: [{ kind: "string" }, { kind: "string" }] });
		expect(() => transcoded(row, ["(1,2,3)"])).toThrow(expect.objectContaining({ code: "E_SCHEMA_AMBIGUOUS" }));
	});
});

test("messages come out whole, however the stream is cut", () => {
	const next = random(3);
	const bodies = Array.from({ length: 300 }, () => Buffer.alloc(Math.floor(next() * 3000), Math.floor(next() * 256)));
	const stream = Buffer.concat(
		bodies.flatMap((body) => {
			const header = Buffer.from([0x64, 0, 0, 0, 0]);
			header.writeUInt32BE(body.length + 4, 1);
			return [header, body];
		}),
	);
	for (const pieceMax of [1, 7, 100, 5000, stream.length]) {
		const cutter = new FrameCutter();
		const found: Buffer[] = [];
		for (let at = 0; at < stream.length; ) {
			const size = 1 + Math.floor(next() * pieceMax);
			cutter.feed(Buffer.from(stream.subarray(at, at + size)));
			at += size;
			while (cutter.next()) found.push(Buffer.from(cutter.bytes.subarray(cutter.start, cutter.end)));
		}
		expect(Buffer.concat(found).equals(Buffer.concat(bodies)) && found.length === bodies.length, `${pieceMax}`).toBe(
			true,
		);
	}
	const hostile = new FrameCutter();
	hostile.feed(Buffer.from([0x64, 0xff, 0xff, 0xff, 0xff]));
	expect(() => hostile.next()).toThrow(expect.objectContaining({ code: "E_CORRUPT_EVENT" }));
});

test("transactions in progress come back as they were, from memory and from the disk", () => {
	const spools = new Spools({ memoryBytesMax: 1 << 20 });
	const next = random(4);
	const written = new Map<number, Buffer[]>([1, 2, 3].map((transaction) => [transaction, []]));
	for (const transaction of written.keys()) spools.begin(transaction);
	for (let i = 0; i < 5000; i++) {
		const transaction = 1 + Math.floor(next() * 3);
		const message = Buffer.alloc(5 + Math.floor(next() * (i % 1000 === 0 ? 600_000 : 2000)), i & 255);
		written.get(transaction)!.push(message);
		spools.append(transaction, message, 0, message.length);
	}
	expect(spools.fileBytes).toBeGreaterThan(1 << 20);
	spools.abort(2, 2);
	spools.abort(3, 77);
	for (const transaction of [1, 3]) {
		const messages: Buffer[] = [];
		for (const { bytes, aborted } of spools.take(transaction)) {
			expect(aborted.has(77)).toBe(transaction === 3);
			for (let at = 0; at < bytes.length; at += 4 + bytes.readUInt32BE(at))
				messages.push(bytes.subarray(at + 4, at + 4 + bytes.readUInt32BE(at)));
		}
		const expected = written.get(transaction)!;
		expect(messages.length).toBe(expected.length);
		expect(messages.every((message, i) => message.equals(expected[i]!))).toBe(true);
	}
	expect([...spools.take(2)]).toEqual([]);
	expect(spools.fileBytes).toBe(0);
	spools.close();
});

test("positions are read as they were written, and nothing else is", () => {
	for (const lsn of [0n, 1n, 0xffffffffn, 0x1_0000_0000n, 0xffff_ffff_ffff_ffffn])
		expect(parseLsn(formatLsn(lsn))).toBe(lsn);
	const position = {
		lsn: 0x16b3748n,
		system: "7234567890123456789",
		timeline: 3,
		database: "a b=c %",
		slot: "headrace_x",
	};
	expect(decodeWalPosition(encodeWalPosition(position))).toEqual(position);
	for (const text of [
		"",
		"0/",
		"0/16B3748 x",
		"0/16B3748 timeline=x",
		"mysql-bin.000001:4",
		"0/123456789",
		"0/1 database=%",
	])
		expect(() => decodeWalPosition(text), text).toThrow(expect.objectContaining({ code: "E_INVALID_VALUE" }));
});

test("a slot's name is the reader's own, and fits", () => {
	const names = ["shop", "shop", "Shop", "a".repeat(200), 'x"; DROP', ""].map((reader) => slotName(reader, "db"));
	expect(names[0]).toBe(names[1]);
	expect(new Set(names).size).toBe(5);
	for (const name of names) expect(name).toMatch(/^headrace_[a-z0-9_]{1,54}$/);
	expect(slotName("shop", "other")).not.toBe(names[0]);
});

test("a slot that is not what was left is told from one that is", () => {
	const slot: Slot = {
		name: "s",
		plugin: "pgoutput",
		database: "db",
		temporary: false,
		activePid: null,
		restartLsn: 5n,
		confirmedLsn: 10n,
		walStatus: "reserved",
		invalidated: null,
		safeBytes: null,
	};
	expect(proveSlot(slot, "s", { lsn: 10n }, "db")).toBe(slot);
	const codeOf = (changed: Partial<Slot> | null, lsn = 10n) => {
		try {
			proveSlot(changed === null ? undefined : { ...slot, ...changed }, "s", { lsn }, "db");
			return "none";
		} catch (error) {
			return (error as { code: string }).code;
		}
	};
	expect(codeOf({}, 9n)).toBe("E_SLOT_AHEAD");
	expect(codeOf(null)).toBe("E_HISTORY_GONE");
	expect(codeOf({ invalidated: "idle_timeout" })).toBe("E_HISTORY_GONE");
	expect(codeOf({ database: "other" })).toBe("E_HISTORY_MISMATCH");
	expect(codeOf({ plugin: "wal2json" })).toBe("E_HISTORY_MISMATCH");
});

test("where timelines parted is read from a history file", () => {
	const history = "1\t0/3000000\tno recovery target specified\n\n2\t1/A0000B8\tbefore 2026-11-21\n";
	expect(switchPoint(history, 1)).toBe(0x3000000n);
	expect(switchPoint(history, 2)).toBe(0x1_0a0000b8n);
	expect(switchPoint(history, 3)).toBeNull();
});
