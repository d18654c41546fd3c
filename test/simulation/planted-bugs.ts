import { batchesOf } from "../../src/conformance/index.ts";
import type { Batch, LoadRequest, PositionRow } from "../../src/core/index.ts";
import { PLANTED_CHUNK_BUGS } from "./planted-chunk-bugs.ts";
import { bySnapshot, overlay, type PlantedBug } from "./planting.ts";
import type { FlowPorts } from "./watch.ts";
import type { WorldOptions } from "./world.ts";

type Load = (ports: FlowPorts, request: LoadRequest) => ReturnType<FlowPorts["destination"]["load"]>;

const byLoad =
	(load: Load): PlantedBug["plant"] =>
	(ports) => ({ ...ports, destination: overlay(ports.destination, { load: (request) => load(ports, request) }) });

async function positionOf({ destination }: FlowPorts, request: LoadRequest): Promise<PositionRow | undefined> {
	return (await destination.positions(request.pipeline)).find((row) => row.stream === request.stream);
}

/** Moves the position without any rows, in a transaction of its own, and gives the request that follows. */
async function savePositionFirst({ destination }: FlowPorts, request: LoadRequest): Promise<LoadRequest> {
	const { fields } = request.input;
	const input: LoadRequest["input"] = { kind: "batches", fields, batches: batchesOf(fields, []) };
	const { interval: _interval, overlap: _overlap, ...rest } = request;
	await destination.load({ ...rest, write: "append", input });
	return { ...request, seq: request.seq + 1, fromPosition: request.toPosition, loadId: `${request.loadId}b` };
}

const BY_CLOCK: Partial<WorldOptions> = {
	cursorType: "timestamp",
	stamped: "at-start",
	marks: "clock",
	resolution: 1n,
	late: false,
};

export const PLANTED_BUGS: readonly PlantedBug[] = [
	{
		bug: "the position is the highest row, not the safe bound",
		world: { ...BY_CLOCK, kind: "merge" },
		law: /I1/,
		plant: bySnapshot(({ transactions }) =>
			transactions === undefined ? {} : { transactions: { ...transactions, oldestOpen: transactions.now } },
		),
	},
	{
		bug: "rows at the position are not read again",
		world: {
			kind: "merge",
			cursorType: "timestamp",
			stamped: "at-start",
			marks: "clock",
			late: false,
			resolution: 1_000_000n,
		},
		law: /I4 after a load|I1 the position never passes rows/,
		plant: bySnapshot((snapshot) => ({
			read: (request) => {
				const { window } = request;
				if (typeof window?.from !== "string") return snapshot.read(request);
				return snapshot.read({ ...request, window: { ...window, from: `${window.from.slice(0, 19)}.9999` } });
			},
		})),
	},
	{
		bug: "the position is saved before the data",
		world: { kind: "merge", staged: false },
		law: /I1|I4/,
		plant: byLoad(async (ports, request) => ports.destination.load(await savePositionFirst(ports, request))),
	},
	{
		bug: "a table is emptied before it is filled",
		world: { kind: "full", staged: false },
		law: /I4|I5/,
		plant: byLoad(async ({ destination }, request) => {
			if (request.fromPosition === null) return destination.load(request);
			const { fields } = request.input;
			const input: LoadRequest["input"] = { kind: "batches", fields, batches: batchesOf(fields, []) };
			await destination.load({ ...request, input, allowEmpty: true, loadId: `${request.loadId}e` });
			return destination.load({ ...request, seq: request.seq + 1, fromPosition: request.toPosition });
		}),
	},
	{
		bug: "the epoch is ignored",
		world: {},
		law: /I[1467]|knows its position/,
		plant: byLoad(async (ports, request) => {
			const row = await positionOf(ports, request);
			return ports.destination.load({ ...request, epoch: row?.epoch ?? request.epoch });
		}),
	},
	{
		bug: "the compare-and-set is ignored",
		world: { kind: "merge" },
		law: /I[1346]|knows its position|in the end|is committed already/,
		plant: byLoad(async (ports, request) => {
			const row = await positionOf(ports, request);
			if (row === undefined) return ports.destination.load(request);
			return ports.destination.load({ ...request, epoch: row.epoch, seq: row.seq, fromPosition: row.position });
		}),
	},
	{
		bug: "a load whose answer was lost is sent again behind itself",
		world: { kind: "append", staged: true },
		law: /I4/,
		plant: byLoad(async (ports, request) => {
			try {
				return await ports.destination.load(request);
			} catch {
				const row = await positionOf(ports, request);
				if (row === undefined || request.input.kind !== "files") throw new Error("there is nothing to send again");
				const { overlap: _overlap, ...rest } = request;
				return ports.destination.load({
					...rest,
					seq: row.seq,
					fromPosition: row.position,
					loadId: `${request.loadId}b`,
				});
			}
		}),
	},
	{
		bug: "every lost answer is taken for a commit",
		world: {},
		law: /knows its position|I[1347]/,
		plant: (ports) => ({ ...ports, destination: overlay(ports.destination, { committed: async () => true }) }),
	},
	{
		bug: "an append does not look at what the table has already",
		world: { ...BY_CLOCK, kind: "append" },
		law: /I4/,
		plant: byLoad(({ destination }, { overlap: _overlap, ...request }) => destination.load(request)),
	},
	{
		bug: "an interval is added to what it brought before",
		world: { kind: "interval-append" },
		law: /I4/,
		plant: byLoad(({ destination }, { interval: _interval, ...request }) => destination.load(request)),
	},
	{
		bug: "changes are loaded with replace",
		world: { ...BY_CLOCK, kind: "merge" },
		law: /I[145]/,
		plant: byLoad(({ destination }, request) => destination.load({ ...request, write: "replace", allowEmpty: true })),
	},
	{
		bug: "rows flagged as deleted stay",
		world: { kind: "merge", flagged: true },
		law: /I4/,
		plant: byLoad(({ destination }, { deletedColumn: _deleted, ...request }) => destination.load(request)),
	},
	{
		bug: "reads of one snapshot see different moments",
		world: { kind: "full", readers: 1 },
		law: /I4/,
		plant: (ports) => ({
			...ports,
			source: overlay(ports.source, {
				snapshot: async (options) => {
					const snapshot = await ports.source.snapshot(options);
					return overlay(snapshot, {
						async *read(request): AsyncGenerator<Batch> {
							const later = await ports.source.snapshot(options);
							yield* later.read(request);
						},
					});
				},
			}),
		}),
	},
	{
		bug: "a broken read is taken for its end",
		world: { kind: "merge", staged: false },
		law: /I[14]/,
		plant: bySnapshot((snapshot) => ({
			async *read(request): AsyncGenerator<Batch> {
				try {
					yield* snapshot.read(request);
				} catch {
					// the bug
				}
			},
		})),
	},
	{
		bug: "staged files are removed before the load is committed",
		world: { kind: "merge", staged: true },
		law: /I7/,
		plant: (ports) => {
			let sealed: readonly string[] = [];
			return {
				...ports,
				staging: overlay(ports.staging, {
					writeOnce: async (path, content) => {
						await ports.staging.writeOnce(path, content);
						const manifest = JSON.parse(new TextDecoder().decode(content)) as { files: { path: string }[] };
						sealed = manifest.files.map((file) => file.path);
					},
				}),
				destination: overlay(ports.destination, {
					load: async (request) => {
						await ports.staging.remove(sealed);
						return ports.destination.load(request);
					},
				}),
			};
		},
	},
	{
		bug: "a file is taken without its checksum, and a fenced run writes under the same name",
		world: { staged: true },
		law: /I4|I7/,
		plant: (ports) => ({
			...ports,
			staging: overlay(ports.staging, {
				create: (path) => ports.staging.create(path.replace(/\d{20}-[0-9a-f]+/, "shared")),
				fetch: (path) => ports.staging.fetch(path.replace(/\d{20}-[0-9a-f]+/, "shared")),
			}),
		}),
	},
	{
		bug: "rows are lost when a file is full",
		world: { staged: true, rowsPerFile: 2 },
		law: /receipt|I4/,
		plant: (ports) => ({
			...ports,
			destination: overlay(ports.destination, {
				load: (request) => {
					const { input } = request;
					if (input.kind === "batches" || input.localPaths.length < 2) return ports.destination.load(request);
					return ports.destination.load({ ...request, input: { ...input, localPaths: input.localPaths.slice(1) } });
				},
			}),
		}),
	},
	...PLANTED_CHUNK_BUGS,
];
