import { createLakeDestination, type LakeOptions } from "../../src/connectors/lake/index.ts";
import { createS3Staging, type S3Options } from "../../src/connectors/s3/index.ts";
import {
	type Destination,
	type Field,
	type LoadRequest,
	loadId,
	type PositionRow,
	Secret,
	typeName,
	type Write,
} from "../../src/core/index.ts";
import { BatchBuilder, type RowObject } from "../../src/formats/index.ts";

export const ID: Field = { name: "id", type: { kind: "int32" }, nullable: false };
export const DAY: Field = { name: "day", type: { kind: "date" }, nullable: true };
export const NAME: Field = { name: "name", type: { kind: "text" }, nullable: true };
export const FIELDS = [ID, DAY, NAME];
export const TABLE = { schema: "Shop", name: "orders" };

export async function* batches(fields: readonly Field[], rows: readonly RowObject[]) {
	const builder = new BatchBuilder(fields);
	for (const row of rows) {
		const batch = builder.append(row);
		if (batch !== null) yield batch;
	}
	const rest = builder.flush();
	if (rest !== null) yield rest;
}

export function requestOf(
	row: PositionRow,
	write: Write,
	rows: readonly RowObject[],
	fields: readonly Field[],
	key = ["id"],
): LoadRequest {
	const toPosition = JSON.stringify({ kind: "full", at: String(row.seq + 1) });
	const { stream, seq, position, epoch } = row;
	return {
		pipeline: "glue",
		stream,
		loadId: loadId({ pipeline: "glue", stream, seq, from: position, to: toPosition, schemaVersion: "1" }),
		epoch,
		seq,
		fromPosition: position,
		toPosition,
		schemaVersion: "1",
		target: { name: TABLE, columns: fields.map((field) => ({ ...field, destinationType: typeName(field.type) })), key },
		write,
		input: { kind: "batches", fields, batches: batches(fields, rows) },
		bufferBytesMax: 16 << 20,
	};
}

export const D1 = "2024-01-31";
export const D2 = "2024-02-01";
export const row = (id: number, day: string | null, name: string | null) => ({ id, day, name });

/** What the child merges. */
export const CHILD_ROWS = [row(2, D1, "B"), row(9, "2024-03-01", "z")];

/** A lake in S3 with its tables in Glue, partitioned by day. */
export function openGlueLake(
	s3: S3Options,
	glue: {
		readonly endpoint: string;
		readonly region: string;
		readonly accessKeyId: string;
		readonly secretAccessKey: string;
	},
	more: Partial<LakeOptions> = {},
): Destination {
	return createLakeDestination({
		store: createS3Staging(s3),
		localDirectories: [s3.temporaryDirectory],
		temporaryDirectory: s3.temporaryDirectory,
		partitionBy: ["day"],
		glue: {
			endpoint: glue.endpoint,
			region: glue.region,
			accessKeyId: new Secret(glue.accessKeyId),
			secretAccessKey: new Secret(glue.secretAccessKey),
			patience: { attemptsMax: 3, retryDelayMs: 1, retryDelayMaxMs: 5 },
		},
		...more,
	});
}
