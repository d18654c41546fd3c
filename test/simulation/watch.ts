import type { MemoryTable } from "../../src/connectors/memory/index.ts";
import type { Destination, Manifest, PositionRow, Source, Staging } from "../../src/core/index.ts";
import { type Invariants, Violation } from "./invariants.ts";
import { TABLE, type World } from "./world.ts";

/** What the flow works with. */
export interface FlowPorts {
	readonly source: Source;
	readonly destination: Destination;
	readonly staging: Staging;
}

interface Sealed {
	readonly loadId: string;
	readonly files: readonly string[];
	/** A newer run had taken over when it was sealed. */
	readonly fenced: boolean;
}

/** Notes, below all failures and bugs, which cut each load read and what is sealed: the laws are about these. */
export class Watch {
	readonly #world: World;
	readonly #invariants: Invariants;
	/** What the rows of each sealed manifest are a copy of, by load id. */
	readonly #sealedCuts = new Map<string, MemoryTable>();
	/** By the manifest's path. */
	readonly #sealed = new Map<string, Sealed>();
	violation: Violation | null = null;

	constructor(world: World, invariants: Invariants) {
		this.#world = world;
		this.#invariants = invariants;
	}

	/** The ports of a new process that works on this interval, if any. */
	ports(interval: number | null): FlowPorts {
		const { source, destination, staging } = this.#world.ports();
		let cut: MemoryTable | null = null;
		return {
			source: {
				...source,
				snapshot: async (options) => {
					const snapshot = await source.snapshot(options);
					cut = this.#world.database.table(TABLE);
					return snapshot;
				},
			},
			destination: {
				...destination,
				load: async (request) => {
					const { loadId, epoch, input } = request;
					const read = input.kind === "files" ? this.#sealedCuts.get(loadId) : cut;
					const result = await destination.load(request);
					if (read !== undefined && read !== null) this.#invariants.loads.set(loadId, { cut: read, epoch, interval });
					return result;
				},
			},
			staging: {
				...staging,
				writeOnce: async (path, content) => {
					await staging.writeOnce(path, content);
					const { loadId, files, stream, epoch } = JSON.parse(new TextDecoder().decode(content)) as Manifest;
					if (cut !== null) this.#sealedCuts.set(loadId, cut);
					const fenced = this.rowOf(stream)?.epoch !== epoch;
					this.#sealed.set(path, { loadId, files: files.map((file) => file.path), fenced });
				},
				remove: async (paths) => {
					this.#checkRemoval(paths);
					await staging.remove(paths);
				},
			},
		};
	}

	rowOf(stream: string): PositionRow | undefined {
		return [...this.#world.warehouse.state.positions.values()].find((row) => row.stream === stream);
	}

	/** I7: what a sealed manifest names stays until it is loaded, or the manifest is taken away. */
	#checkRemoval(paths: readonly string[]): void {
		for (const [manifestPath, { loadId, files, fenced }] of this.#sealed) {
			if (fenced || this.#world.folder.get(manifestPath) === null) continue;
			const lost = files.find((path) => paths.includes(path));
			if (lost !== undefined && !this.#world.warehouse.state.loads.has(loadId))
				this.violation ??= new Violation(`I7 a staged file stays until it is loaded: ${lost} is removed`);
		}
	}
}
