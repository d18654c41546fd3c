/** Values that go into a type of less: what does not keep all of itself is counted. Wire formats as in decode-fixed and decode-time. */
import { type ColumnType, DATE_INFINITY, type TypePolicy, typeName } from "../../core/index.ts";
import { type Decode, divert, wrongLength } from "./decode.ts";

const DAYS_TO_2000 = 10957;
const MICROS_A_DAY = 86_400_000_000n;

/** float8 → float32, rounded to the nearest. */
export function decodeNarrowFloat(type: ColumnType, policy: TypePolicy): Decode {
	return (buffer, offsets, lengths, from, count, column, row) => {
		const { f32 } = column;
		for (let i = 0; i < count; i++) {
			if (lengths[from + i] !== 8) {
				if (lengths[from + i] !== -1) throw wrongLength(column);
				column.setNull(row + i);
				continue;
			}
			const value = buffer.readDoubleBE(offsets[from + i]!);
			const kept = Math.fround(value);
			f32[row + i] = kept;
			if (kept === value || Number.isNaN(value)) continue;
			if (Number.isFinite(kept)) column.changedCount++;
			else divert(column, row + i, policy.outOfRange, `a number that ${typeName(type)} cannot hold`, "out_of_range");
		}
	};
}

/** int8 → boolean: 0 is false, all else is true; what is neither 0 nor 1 is counted. */
export const decodeTruth: Decode = (buffer, offsets, lengths, from, count, column, row) => {
	const { u8 } = column;
	for (let i = 0; i < count; i++) {
		if (lengths[from + i] !== 8) {
			if (lengths[from + i] !== -1) throw wrongLength(column);
			column.setNull(row + i);
			continue;
		}
		const value = buffer.readBigInt64BE(offsets[from + i]!);
		u8[row + i] = value === 0n ? 0 : 1;
		if (value !== 0n && value !== 1n) column.changedCount++;
	}
};

/** timestamp or timestamptz → its day in UTC; a time of day that is lost is counted. */
export const decodeDay: Decode = (buffer, offsets, lengths, from, count, column, row) => {
	const { i32 } = column;
	for (let i = 0; i < count; i++) {
		if (lengths[from + i] !== 8) {
			if (lengths[from + i] !== -1) throw wrongLength(column);
			column.setNull(row + i);
			continue;
		}
		const micros = buffer.readBigInt64BE(offsets[from + i]!);
		if (micros === 0x7fffffffffffffffn) i32[row + i] = DATE_INFINITY;
		else if (micros === -0x8000000000000000n) i32[row + i] = -DATE_INFINITY;
		else {
			const timeOfDay = ((micros % MICROS_A_DAY) + MICROS_A_DAY) % MICROS_A_DAY;
			if (timeOfDay !== 0n) column.changedCount++;
			i32[row + i] = Number((micros - timeOfDay) / MICROS_A_DAY) + DAYS_TO_2000;
		}
	}
};
