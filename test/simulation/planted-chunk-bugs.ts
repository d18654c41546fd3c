import {
	type Batch,
	type DestinationParts,
	type Snapshot,
	type SourceTable,
	DEFAULT_TYPE_POLICY as TYPES,
} from "../../src/core/index.ts";
import { bySnapshot, overlay, type PlantedBug } from "./planting.ts";
import { CHUNK_ROWS, type WorldOptions } from "./world.ts";

/** Mistakes in loads that go on with what a killed run has read. */

const byParts =
	(change: (parts: DestinationParts) => Partial<DestinationParts>): PlantedBug["plant"] =>
	(ports) => {
		const parts = ports.destination.parts as DestinationParts;
		return { ...ports, destination: overlay(ports.destination, { parts: overlay(parts, change(parts)) }) };
	};

const IN_PARTS: Partial<WorldOptions> = { chunked: true, staged: false };
/** A first load that catches up by its cursor. */
const BY_CURSOR: Partial<WorldOptions> = {
	...IN_PARTS,
	kind: "merge",
	flagged: false,
	proves: false,
	chunksBy: "key",
	cursorType: "timestamp",
	stamped: "at-start",
	marks: "clock",
	resolution: 1n,
	late: false,
};

async function* untilItBreaks(batches: AsyncIterable<Batch>): AsyncGenerator<Batch> {
	try {
		yield* batches;
	} catch {
		// the bug
	}
}

export const PLANTED_CHUNK_BUGS: readonly PlantedBug[] = [
	{
		bug: "a chunk whose rows have changed is taken for unchanged",
		world: { ...IN_PARTS, kind: "full", proves: true },
		law: /I4/,
		plant: bySnapshot(() => ({ unchanged: async () => true })),
	},
	{
		bug: "a staged chunk whose rows have changed is taken for unchanged",
		world: { chunked: true, staged: true, kind: "full", proves: true },
		law: /I4/,
		plant: bySnapshot(() => ({ unchanged: async () => true })),
	},
	{
		bug: "only the number of a chunk's rows is compared",
		world: { ...IN_PARTS, kind: "full", chunksBy: "key", proves: true },
		law: /I4/,
		plant: bySnapshot((snapshot) => ({
			unchanged: async ({ table, chunk, rows }) => {
				let now = 0;
				const { columns } = table;
				for await (const batch of snapshot.read({ table, columns, chunk, types: TYPES })) {
					now += batch.rowCount;
					batch.release();
				}
				return now === rows;
			},
		})),
	},
	{
		bug: "chunks that an update moves rows between are kept for a cursor to catch up with",
		world: { ...BY_CURSOR, chunksBy: "place" },
		law: /I[14]|E_DUPLICATE_KEY|not unique/,
		plant: bySnapshot((snapshot) => ({
			split: async (table, options) =>
				(await snapshot.split(table, options)).map((chunk) => ({ ...chunk, byKey: true })),
		})),
	},
	{
		bug: "rows of several cuts get the position of the newest",
		world: BY_CURSOR,
		law: /I[14]/,
		plant: byParts((parts) => ({
			load: async (request, rows) => {
				const found = await parts.find(request.pipeline, request.stream);
				const positions = [...(found?.records.values() ?? [])].map((record) => positionOf(record));
				return parts.load({ ...request, toPosition: positions.sort().at(-1) ?? request.toPosition }, rows);
			},
		})),
	},
	{
		bug: "a chunk whose read broke is kept as if it were whole",
		world: { ...IN_PARTS, kind: "full" },
		// A read that broke keeps its place in the snapshot, as a real one does until it is ended.
		law: /I4|receipt|hangs/,
		plant: byParts((parts) => ({
			add: (request, part) => parts.add(request, { ...part, batches: untilItBreaks(part.batches) }),
		})),
	},
	{
		bug: "the run that goes on cuts the table anew",
		world: BY_CURSOR,
		law: /I[14]|not unique/,
		plant: (ports) => {
			let snapshot: Snapshot | null = null;
			let table: SourceTable | null = null;
			const parts = ports.destination.parts as DestinationParts;
			const find: DestinationParts["find"] = async (pipeline, stream) => {
				const found = await parts.find(pipeline, stream);
				if (found === null || snapshot === null) return found;
				table ??=
					(await ports.source.describe([{ table: { schema: "main", name: "orders" }, types: TYPES }]))[0] ?? null;
				const chunks = table === null ? [] : await snapshot.split(table, { rows: CHUNK_ROWS });
				return { ...found, plan: JSON.stringify({ ...(JSON.parse(found.plan) as object), chunks }) };
			};
			return {
				...ports,
				source: overlay(ports.source, {
					snapshot: async (options) => {
						snapshot = await ports.source.snapshot(options);
						return snapshot;
					},
				}),
				destination: overlay(ports.destination, { parts: overlay(parts, { find }) }),
			};
		},
	},
];

function positionOf(record: string): string {
	return (JSON.parse(record) as { readonly cut: { readonly position: string } }).cut.position;
}
