/** Works on a few items at once. One that fails lets those that have begun end; its error is thrown then. */
export async function eachOf<Item>(
	atOnce: number,
	items: readonly Item[],
	work: (item: Item) => Promise<void>,
): Promise<void> {
	const waiting = [...items];
	const lanes = await Promise.allSettled(
		Array.from({ length: Math.min(atOnce, items.length) }, async () => {
			try {
				for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item);
			} catch (error) {
				waiting.length = 0;
				throw error;
			}
		}),
	);
	const failed = lanes.find((lane) => lane.status === "rejected");
	if (failed !== undefined) throw failed.reason;
}
