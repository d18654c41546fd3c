import { expect, test } from "vitest";
import { PieceQueue } from "./piece-queue.ts";

const PIECE_BYTES = 100 << 10;

function queue(settle: () => boolean, bytesMax = 1 << 20) {
	const valve = { closed: 0, opened: 0 };
	const made = new PieceQueue(
		{
			pause: () => {
				valve.closed++;
			},
			resume: () => {
				valve.opened++;
			},
		},
		{ bytesMax, copies: true },
	);
	made.settle = settle;
	return { pieces: made, valve };
}

test("law: a piece is what was pushed, until the next one but one is taken, however it was cut", () => {
	for (const settles of [true, false]) {
		let kept: { readonly piece: Buffer; readonly as: number }[] = [];
		const { pieces } = queue(() => {
			// All but the last are forgotten: their memory may change from here on.
			if (settles) kept = kept.slice(-1);
			return settles;
		});
		const one = Buffer.alloc(PIECE_BYTES * 4);
		let pushed = 0;
		let taken = 0;
		for (let round = 0; round < 200; round++) {
			for (let count = 0; count < (round % 3) + 1; count++) {
				const as = pushed++ & 255;
				one.fill(as);
				pieces.push(one.subarray(0, [10, PIECE_BYTES, 3 * PIECE_BYTES, 1][pushed & 3]!));
			}
			for (let count = 0; count < (round % 4) + 1 && taken < pushed; count++) {
				kept.push({ piece: pieces.next()!, as: taken++ & 255 });
				expect(kept.every(({ piece, as }) => piece[0] === as && piece.at(-1) === as)).toBe(true);
			}
		}
	}
});

test("memory is used again once everybody is done with it", () => {
	const memory = new Set<ArrayBufferLike>();
	const { pieces } = queue(() => true);
	const one = Buffer.alloc(PIECE_BYTES);
	for (let count = 0; count < 1000; count++) {
		pieces.push(one);
		memory.add(pieces.next()!.buffer);
	}
	expect(memory.size).toBeLessThan(16);
});

test("the valve closes over the bound and opens below half of it", () => {
	const { pieces, valve } = queue(() => true, 2 * PIECE_BYTES);
	const one = Buffer.alloc(PIECE_BYTES);
	pieces.push(one);
	expect(valve.closed).toBe(0);
	pieces.push(one);
	pieces.push(one);
	expect([valve.closed, pieces.isClosed]).toEqual([1, true]);
	pieces.next();
	pieces.next();
	expect(valve.opened).toBe(0);
	pieces.next();
	expect([valve.opened, pieces.isClosed, pieces.isEmpty]).toEqual([1, false, true]);
	expect(pieces.next()).toBeUndefined();
});
