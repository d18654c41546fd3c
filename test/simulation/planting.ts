import type { Snapshot } from "../../src/core/index.ts";
import type { Plant } from "./scenario.ts";
import type { WorldOptions } from "./world.ts";

/** A mistake that a flow or a connector could make, the law that must notice it, and the worlds where it matters. */
export interface PlantedBug {
	readonly bug: string;
	readonly plant: Plant;
	readonly law: RegExp;
	readonly world: Partial<WorldOptions>;
}

/** Changes every snapshot. */
export const bySnapshot =
	(change: (snapshot: Snapshot) => Partial<Snapshot>): Plant =>
	(ports) => ({
		...ports,
		source: overlay(ports.source, {
			snapshot: async (options) => {
				const snapshot = await ports.source.snapshot(options);
				return overlay(snapshot, change(snapshot));
			},
		}),
	});

/** The port with some of its members replaced; the others keep their turns. */
export function overlay<Port extends object>(port: Port, change: Partial<Port>): Port {
	return new Proxy(port, {
		get: (target, key) => (Object.hasOwn(change, key) ? Reflect.get(change, key) : Reflect.get(target, key)),
	});
}
