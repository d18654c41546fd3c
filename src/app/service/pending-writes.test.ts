import { expect, test } from "vitest";
import { HeadraceError } from "../../core/index.ts";
import { PendingWrites } from "./pending-writes.ts";

function writes() {
	const done: string[] = [];
	const errors: unknown[] = [];
	let failure: Error | null = null;
	const pending = new PendingWrites((thrown) => errors.push(thrown));
	const put = (key: string, value: string) =>
		pending.put(key, async () => {
			await Promise.resolve();
			if (failure !== null) throw failure;
			done.push(value);
		});
	const fail = (error: Error | null) => {
		failure = error;
	};
	return { done, errors, pending, put, fail };
}

test("writes are done in their order, of each key the last that is pending", async () => {
	const { done, pending, put } = writes();
	put("a", "a1");
	put("b", "b1");
	put("c", "c1");
	put("b", "b2");
	await pending.flush();
	expect(done).toEqual(["a1", "c1", "b2"]);
});

test("what failed is told, kept and done later, before what came after it", async () => {
	const { done, errors, pending, put, fail } = writes();
	fail(new Error("down"));
	put("a", "a1");
	await pending.flush();
	put("b", "b1");
	await pending.flush();
	expect([done, errors.length > 0]).toEqual([[], true]);
	fail(null);
	await pending.flush();
	expect(done).toEqual(["a1", "b1"]);
});

test("who was fenced off forgets what it had to write, and says nothing", async () => {
	const { done, errors, pending, put, fail } = writes();
	fail(new HeadraceError("E_FENCED", "another server leads"));
	put("a", "a1");
	put("b", "b1");
	await pending.flush();
	fail(null);
	put("c", "c1");
	await pending.flush();
	expect([done, errors]).toEqual([["c1"], []]);
});
