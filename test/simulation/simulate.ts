import type { Batch } from "../../src/core/index.ts";
import type { SimulatedProcess } from "./scheduler.ts";

/** Methods that answer at once from what the port knows: nothing can go wrong in them. */
const IMMEDIATE = new Set<string | symbol>(["mapType", "foldName", "quoteString", "compare", "format", "parse"]);

/** What calls give that is itself a way to the outside. */
const HANDLES: Readonly<Record<string, string>> = {
	snapshot: "snapshot",
	create: "staged",
	begin: "cut",
	open: "stream",
};

/** Members that are ports of their own. */
const PARTS: Readonly<Record<string, string>> = { parts: "parts", changeLog: "log", changes: "changes" };

/**
 * A port whose every call, and every batch of a read or event of a log, is a point where the process may be stopped,
 * killed, or told of an error, before the effect or after it.
 */
export function simulate<Port extends object>(name: string, port: Port, process: SimulatedProcess): Port {
	return new Proxy(port, {
		get(target, key, receiver) {
			const value: unknown = Reflect.get(target, key, receiver);
			const part = typeof key === "string" ? PARTS[key] : undefined;
			if (part !== undefined && typeof value === "object" && value !== null) return simulate(part, value, process);
			if (typeof value !== "function" || IMMEDIATE.has(key)) return value;
			const method = value as (...given: unknown[]) => unknown;
			if (key === Symbol.asyncIterator)
				return () => simulateRead(name, target as AsyncIterable<unknown>, process)[Symbol.asyncIterator]();
			// An arrow: V8 13.6 does not take what `bind` gives for the end of a `using`.
			if (typeof key === "symbol") return (...given: unknown[]) => method.apply(target, given);
			if (key === "read" && name === "snapshot")
				return (...given: unknown[]) =>
					simulateRead("read", method.apply(target, given) as AsyncIterable<Batch>, process);
			return async (...given: unknown[]) => {
				const answer = await process.call(`${name}.${key}`, () => method.apply(target, given));
				const handle = name === "parts" ? undefined : HANDLES[key];
				return handle === undefined ? answer : simulate(handle, answer as object, process);
			};
		},
	});
}

function simulateRead<T>(name: string, items: AsyncIterable<T>, process: SimulatedProcess): AsyncIterable<T> {
	return {
		[Symbol.asyncIterator]: () => {
			const iterator = items[Symbol.asyncIterator]();
			return {
				next: () =>
					process
						.call(`${name}.next`, () => iterator.next())
						.catch(async (error: unknown) => {
							// Nobody ends an iterator that failed: it does so itself.
							await iterator.return?.();
							throw error;
						}),
				return: async () => {
					await iterator.return?.();
					return { done: true, value: undefined };
				},
			};
		},
	};
}
