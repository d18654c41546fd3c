import type { StorageDescriptor, TableInput } from "@aws-sdk/client-glue";
import { type Field, HeadraceError, qualified, type TableName } from "../../core/index.ts";
import { type PartitionColumn, partitionHiveType } from "./partition.ts";
import { hiveType } from "./types.ts";

/** https://docs.aws.amazon.com/glue/latest/webapi/API_Column.html */
const NAME_LENGTH_MAX = 255;
/** The parameter of a Glue table that says whose it is. */
export const OWNER_PARAMETER = "headrace.table";

/** `<source>_<model>` in what Glue takes for a name: lower case letters, digits, `_`. */
export function glueTableName({ schema, name }: TableName): string {
	const text = (schema === "" ? name : `${schema}_${name}`).toLowerCase().replace(/[^a-z0-9_]/g, "_");
	return text.slice(0, NAME_LENGTH_MAX);
}

/**
 * Looks at a table before Glue is told of it: Athena's names are lower case letters, digits and underscores, and it finds
 * columns in the files by them. See https://docs.aws.amazon.com/athena/latest/ug/tables-databases-columns-names.html
 * @throws E_UNSUPPORTED, E_NAME_COLLISION, E_TYPE_REFUSED
 */
export function checkGlueForm(table: TableName, fields: readonly Field[], levels: readonly PartitionColumn[]): void {
	const seen = new Map<string, string>();
	const names = [
		...fields.map(({ name }) => name),
		...levels.filter(({ part }) => part !== undefined).map(({ name }) => name),
	];
	for (const name of names) {
		const lower = name.toLowerCase();
		if (!/^[a-z0-9_]+$/.test(lower) || lower.length > NAME_LENGTH_MAX)
			throw new HeadraceError(
				"E_UNSUPPORTED",
				`${qualified(table)}: Athena can't read a column called ${JSON.stringify(name)}`,
				{
					hint: "Give it a name of letters, digits and underscores by `columns:`, or leave glue out.",
				},
			);
		const other = seen.get(lower);
		if (other !== undefined)
			throw new HeadraceError("E_NAME_COLLISION", `${qualified(table)}: ${other} and ${name} are one column in Athena`);
		seen.set(lower, name);
	}
	for (const field of fields) checkHiveType(hiveType(field.type), field.name);
}

const SIMPLE = new Set("boolean tinyint smallint int bigint float double string binary date timestamp".split(" "));

/**
 * Glue takes any text for a type, and Athena fails on a wrong one when it is queried.
 * See https://docs.aws.amazon.com/athena/latest/ug/data-types.html
 * @throws E_TYPE_REFUSED
 */
export function checkHiveType(type: string, column: string): void {
	const element = /^array<(.+)>$/.exec(type)?.[1];
	if (element !== undefined) {
		checkHiveType(element, column);
		return;
	}
	const decimal = /^decimal\((\d+),(\d+)\)$/.exec(type);
	const fits =
		decimal !== null && Number(decimal[1]) <= 38 && Number(decimal[1]) >= 1 && Number(decimal[2]) <= Number(decimal[1]);
	if (!SIMPLE.has(type) && !fits)
		throw new HeadraceError("E_TYPE_REFUSED", `column ${column} would be ${type}, which is no type of Athena's`);
}

/** A column that is a level of the folders by its own value is no column of the files for Athena. */
export function glueColumns(fields: readonly Field[], levels: readonly PartitionColumn[]) {
	const own = new Set(levels.filter(({ part }) => part === undefined).map(({ column }) => column));
	return fields
		.filter(({ name }) => !own.has(name))
		.map(({ name, type }) => ({ Name: name.toLowerCase(), Type: hiveType(type) }));
}

/**
 * A location whose files are lists of files, which Athena reads as one: so a location holds exactly the live ones,
 * wherever they lie. See https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-athena-query.html
 */
export function storageOf(
	location: string,
	fields: readonly Field[],
	levels: readonly PartitionColumn[],
): StorageDescriptor {
	return {
		Columns: glueColumns(fields, levels),
		Location: location,
		InputFormat: "org.apache.hadoop.hive.ql.io.SymlinkTextInputFormat",
		OutputFormat: "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
		SerdeInfo: {
			SerializationLibrary: "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
			Parameters: { "serialization.format": "1" },
		},
	};
}

export function tableInput(
	name: string,
	folder: string,
	location: string,
	fields: readonly Field[],
	levels: readonly PartitionColumn[],
): TableInput {
	return {
		Name: name,
		TableType: "EXTERNAL_TABLE",
		Parameters: { EXTERNAL: "TRUE", classification: "parquet", [OWNER_PARAMETER]: folder },
		PartitionKeys: levels.map((level) => ({ Name: level.name.toLowerCase(), Type: partitionHiveType(level, fields) })),
		StorageDescriptor: storageOf(location, fields, levels),
	};
}
