import type { Batch } from "../../src/core/index.ts";
import type { SimulatedProcess } from "./scheduler.ts";

/** Methods that answer at once from what the port knows: nothing can go wrong in them. */
const IMMEDIATE = new Set<string | symbol>(["mapType", "foldName", "quoteString", Symbol.asyncDispose]);

/** What calls give that is itself a way to the outside. */
const HANDLES: Readonly<Record<string, string>> = { snapshot: "snapshot", create: "staged" };

/**
 * A port whose every call, and every batch of a read, is a point where the process may be stopped, killed, or told of
 * an error, before the effect or after it.
 */
export function simulate<Port extends object>(name: string, port: Port, process: SimulatedProcess): Port {
	return new Proxy(port, {
		get(target, key, receiver) {
			const value: unknown = Reflect.get(target, key, receiver);
			if (key === "parts" && typeof value === "object" && value !== null) return simulate("parts", value, process);
			if (typeof value !== "function" || typeof key === "symbol" || IMMEDIATE.has(key)) return value;
			const method = value as (...given: unknown[]) => unknown;
			if (key === "read" && name === "snapshot")
				return (...given: unknown[]) => simulateRead(method.apply(target, given) as AsyncIterable<Batch>, process);
			return async (...given: unknown[]) => {
				const answer = await process.call(`${name}.${key}`, () => method.apply(target, given));
				const handle = HANDLES[key];
				return handle === undefined ? answer : simulate(handle, answer as object, process);
			};
		},
	});
}

function simulateRead(batches: AsyncIterable<Batch>, process: SimulatedProcess): AsyncIterable<Batch> {
	return {
		[Symbol.asyncIterator]: () => {
			const iterator = batches[Symbol.asyncIterator]();
			return {
				next: () => process.call("read.next", () => iterator.next()),
				return: async () => {
					await iterator.return?.();
					return { done: true, value: undefined };
				},
			};
		},
	};
}
