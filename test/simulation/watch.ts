import type { MemoryTable } from "../../src/connectors/memory/index.ts";
import { chunkCondition } from "../../src/connectors/memory/split.ts";
import type { Row } from "../../src/connectors/memory/values.ts";
import type {
	Chunk,
	Destination,
	DestinationParts,
	LoadRequest,
	Manifest,
	PositionRow,
	Source,
	Staging,
} from "../../src/core/index.ts";
import { type Invariants, Violation } from "./invariants.ts";
import { TABLE, type World } from "./world.ts";

/** What the flow works with. */
export interface FlowPorts {
	readonly source: Source;
	readonly destination: Destination;
	readonly staging: Staging;
}

interface Sealed {
	readonly files: readonly string[];
	/** A newer run had taken over when it was sealed. */
	readonly fenced: boolean;
	/** Its rows are in the destination. */
	readonly loaded: () => boolean;
}

/** What the watch needs of the JSON that a flow seals: a manifest, a plan of chunks, or the record of one. */
interface SealedText {
	readonly loadId?: string;
	readonly stream?: string;
	readonly epoch?: number;
	readonly files?: Manifest["files"];
	readonly chunks?: readonly Chunk[] | Manifest["chunks"];
	readonly id?: string;
	readonly plan?: string;
	readonly index?: number;
}

type Cut = Pick<MemoryTable, "rows">;

/** Notes, below all failures and bugs, which cut each load read and what is sealed: the laws are about these. */
export class Watch {
	readonly #world: World;
	readonly #invariants: Invariants;
	/** What the rows of each sealed manifest are a copy of, by load id. */
	readonly #sealedCuts = new Map<string, Cut>();
	/** By the path of a manifest or of a chunk's record. */
	readonly #sealed = new Map<string, Sealed>();
	/** Chunks of each plan, by its id, with the stream that it is for. */
	readonly #plans = new Map<
		string,
		{ readonly chunks: readonly Chunk[]; readonly stream: string; readonly seq: number }
	>();
	/** The cut of each chunk, by plan and index; and by the first of its files. */
	readonly #chunkCuts = new Map<string, MemoryTable>();
	readonly #fileCuts = new Map<string, { readonly plan: string; readonly index: number; readonly cut: MemoryTable }>();
	violation: Violation | null = null;

	constructor(world: World, invariants: Invariants) {
		this.#world = world;
		this.#invariants = invariants;
	}

	/** The ports of a new process that works on this interval, if any. */
	ports(interval: number | null): FlowPorts {
		const { source, destination, staging } = this.#world.ports();
		let cut: MemoryTable | null = null;
		const loaded = ({ loadId, epoch }: Pick<LoadRequest, "loadId" | "epoch">, read: Cut | null | undefined) => {
			if (read !== undefined && read !== null) this.#invariants.loads.set(loadId, { cut: read, epoch, interval });
		};
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
					const read = request.input.kind === "files" ? this.#sealedCuts.get(request.loadId) : cut;
					const result = await destination.load(request);
					loaded(request, read);
					return result;
				},
				parts: this.#parts(destination.parts!, () => cut, loaded),
			},
			staging: {
				...staging,
				writeOnce: async (path, content) => {
					await staging.writeOnce(path, content);
					this.#noteSealed(path, JSON.parse(new TextDecoder().decode(content)) as SealedText, cut);
				},
				remove: async (paths) => {
					this.#checkRemoval(paths);
					await staging.remove(paths);
				},
			},
		};
	}

	#parts(
		parts: DestinationParts,
		cutNow: () => MemoryTable | null,
		loaded: (request: Pick<LoadRequest, "loadId" | "epoch">, read: Cut | null) => void,
	): DestinationParts {
		const planOf = async (request: Pick<LoadRequest, "pipeline" | "stream">) => {
			const found = await parts.find(request.pipeline, request.stream);
			return found === null ? null : { ...found, id: (JSON.parse(found.plan) as { id: string }).id };
		};
		return {
			...parts,
			begin: async (request, plan) => {
				await parts.begin(request, plan);
				const { id, chunks, stream, seq } = JSON.parse(plan) as {
					id: string;
					chunks: Chunk[];
					stream: string;
					seq: number;
				};
				this.#plans.set(id, { chunks, stream, seq });
			},
			add: async (request, part) => {
				const cut = cutNow();
				const rows = await parts.add(request, part);
				const plan = await planOf(request);
				if (plan !== null && cut !== null) this.#chunkCuts.set(`${plan.id}/${part.index}`, cut);
				return rows;
			},
			load: async (request, rows) => {
				const plan = await planOf(request);
				const cuts = new Map<number, MemoryTable>();
				for (const index of plan?.records.keys() ?? []) {
					const cut = this.#chunkCuts.get(`${plan?.id}/${index}`);
					if (cut !== undefined) cuts.set(index, cut);
				}
				const result = await parts.load(request, rows);
				loaded(request, plan === null ? null : this.#chunkedCut(plan.id, cuts, cutNow()));
				return result;
			},
		};
	}

	/**
	 * What a load of chunks has to leave: the source at this run's cut. Only where chunks are ranges of the key, and a
	 * cursor brings the rest (I1 holds for its position), each chunk may be as it was at its own cut.
	 */
	#chunkedCut(planId: string, cuts: ReadonlyMap<number, MemoryTable>, now: MemoryTable | null): Cut | null {
		const plan = this.#plans.get(planId);
		if (plan === undefined || now === null) return now;
		const { kind, chunksBy } = this.#world.options;
		const rows: Row[] = [];
		for (const [index, chunk] of plan.chunks.entries()) {
			const cut = cuts.get(index);
			if (cut === undefined || chunk.condition === undefined) return now;
			rows.push(...cut.rows.filter(chunkCondition(cut, chunk.condition)));
		}
		return kind === "full" || chunksBy === "place" ? now : { rows };
	}

	#noteSealed(path: string, text: SealedText, cut: MemoryTable | null): void {
		if (text.id !== undefined && Array.isArray(text.chunks)) {
			const { seq, stream } = text as unknown as { seq: number; stream: string };
			this.#plans.set(text.id, { chunks: text.chunks as readonly Chunk[], stream, seq });
			return;
		}
		const files = (text.files ?? []).map((file) => file.path);
		if (text.plan !== undefined && text.index !== undefined) {
			const { plan, index } = text;
			const planned = this.#plans.get(plan);
			if (cut !== null) this.#chunkCuts.set(`${plan}/${index}`, cut);
			if (cut !== null && files[0] !== undefined) this.#fileCuts.set(files[0], { plan, index, cut });
			const epoch = Number(/-(\d{20})\.json$/.exec(path)?.[1]);
			const fenced = this.rowOf(planned?.stream ?? "")?.epoch !== epoch;
			const loaded = () => (this.rowOf(planned?.stream ?? "")?.seq ?? 0) > (planned?.seq ?? 0);
			this.#sealed.set(path, { files, fenced, loaded });
			return;
		}
		const { loadId, stream, epoch } = text as Manifest;
		const read = text.chunks === undefined ? cut : this.#sealedChunks(files, path, cut);
		if (read !== null) this.#sealedCuts.set(loadId, read);
		const fenced = this.rowOf(stream)?.epoch !== epoch;
		this.#sealed.set(path, { files, fenced, loaded: () => this.#world.warehouse.state.loads.has(loadId) });
	}

	/** The cut of a manifest of chunks: those of its files, and for chunks without rows the last that was sealed. */
	#sealedChunks(files: readonly string[], path: string, now: MemoryTable | null): Cut | null {
		const cuts = new Map<number, MemoryTable>();
		let planId = "";
		for (const file of files) {
			const known = this.#fileCuts.get(file);
			if (known === undefined) continue;
			planId = known.plan;
			cuts.set(known.index, known.cut);
		}
		for (const index of this.#plans.get(planId)?.chunks.keys() ?? []) {
			const cut = this.#chunkCuts.get(`${planId}/${index}`);
			if (!cuts.has(index) && cut !== undefined) cuts.set(index, cut);
		}
		if (planId === "") this.violation ??= new Violation(`a manifest of chunks names files of chunks: ${path}`);
		return this.#chunkedCut(planId, cuts, now);
	}

	rowOf(stream: string): PositionRow | undefined {
		return [...this.#world.warehouse.state.positions.values()].find((row) => row.stream === stream);
	}

	/** I7: what a sealed manifest names stays until it is loaded, or the manifest is taken away. */
	#checkRemoval(paths: readonly string[]): void {
		for (const [sealedPath, { files, fenced, loaded }] of this.#sealed) {
			if (fenced || this.#world.folder.get(sealedPath) === null) continue;
			const lost = files.find((path) => paths.includes(path));
			if (lost !== undefined && !loaded())
				this.violation ??= new Violation(`I7 a staged file stays until it is loaded: ${lost} is removed`);
		}
	}
}
