const queues = new Map<string, Promise<void>>();

/**
 * Waits for its turn at what `name` names, among all who ask in this process. Gives what ends the turn; ending it twice
 * is harmless.
 */
export async function acquireTurn(name: string): Promise<() => void> {
	const before = queues.get(name) ?? Promise.resolve();
	let end = (): void => {};
	const turn = new Promise<void>((resolve) => {
		end = resolve;
	});
	const last = before.then(() => turn);
	queues.set(name, last);
	void last.then(() => {
		if (queues.get(name) === last) queues.delete(name);
	});
	await before;
	return end;
}
