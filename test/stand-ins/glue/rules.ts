/** A refusal as Glue gives it. */
export class GlueFault extends Error {
	readonly status: number;

	constructor(name: string, message: string, status = 400) {
		super(message);
		this.name = name;
		this.status = status;
	}
}

const invalid = (message: string) => new GlueFault("InvalidInputException", message);

export interface ColumnInput {
	readonly Name: string;
	readonly Type?: string;
}

export interface StorageInput {
	readonly Columns?: readonly ColumnInput[];
	readonly Location?: string;
	readonly InputFormat?: string;
	readonly OutputFormat?: string;
	readonly SerdeInfo?: { readonly SerializationLibrary?: string };
}

/**
 * NameString: 1 to 255 characters, no control characters.
 * See https://docs.aws.amazon.com/glue/latest/webapi/API_Column.html. Databases and tables are folded to lower case:
 * https://docs.aws.amazon.com/glue/latest/webapi/API_TableInput.html
 */
export function checkName(what: string, name: unknown): string {
	// biome-ignore lint/suspicious/noControlCharactersInRegex: the pattern of the API's reference.
	if (typeof name !== "string" || name.length < 1 || name.length > 255 || /[\u0000-\u001f]/.test(name))
		throw new GlueFault("ValidationException", `${what} has to be 1 to 255 characters`);
	return name.toLowerCase();
}

/**
 * Column names that Athena reads: lower case letters, digits, underscores. Stricter than Glue, which would take them and
 * leave the failure to the query: https://docs.aws.amazon.com/athena/latest/ug/tables-databases-columns-names.html
 */
function checkColumnName(name: unknown): string {
	const checked = checkName("column name", name);
	if (name !== checked || !/^[a-z0-9_]+$/.test(checked))
		throw invalid(`column name ${JSON.stringify(name)} is not one of Athena's`);
	return checked;
}

const PRIMITIVES = new Set([
	"boolean",
	"tinyint",
	"smallint",
	"int",
	"bigint",
	"float",
	"double",
	"string",
	"binary",
	"date",
	"timestamp",
]);

/** https://docs.aws.amazon.com/athena/latest/ug/data-types.html, written as in DDL: no spaces, `int`, not `integer` */
export function checkHiveType(type: unknown): void {
	if (typeof type !== "string") throw invalid("a column has no type");
	if (PRIMITIVES.has(type)) return;
	const decimal = /^decimal\((\d{1,2}),(\d{1,2})\)$/.exec(type);
	if (decimal !== null) {
		const [precision, scale] = [Number(decimal[1]), Number(decimal[2])];
		if (precision >= 1 && precision <= 38 && scale <= precision) return;
	}
	const element = /^array<(.+)>$/.exec(type)?.[1];
	if (element === undefined) throw invalid(`${type} is no type of Hive's`);
	checkHiveType(element);
}

/** Types of partition keys that Athena reads: https://docs.aws.amazon.com/athena/latest/ug/partitions.html */
const PARTITION_TYPES = new Set(["string", "int", "bigint", "date"]);

export function checkStorage(storage: StorageInput | undefined, partitionKeys: readonly ColumnInput[] = []): void {
	const names = new Set<string>();
	const take = (name: string) => {
		// HIVE_INVALID_METADATA: https://docs.aws.amazon.com/athena/latest/ug/troubleshooting-athena.html
		if (names.has(name)) throw invalid(`column ${name} is there twice`);
		names.add(name);
	};
	for (const { Name, Type } of storage?.Columns ?? []) {
		take(checkColumnName(Name));
		checkHiveType(Type);
	}
	for (const { Name, Type } of partitionKeys) {
		take(checkColumnName(Name));
		if (!PARTITION_TYPES.has(Type ?? "")) throw invalid(`partition key ${Name} can't be ${Type}`);
	}
	// A folder, with a slash at its end, without // or wildcards in it:
	// https://docs.aws.amazon.com/athena/latest/ug/tables-location-format.html
	const path = /^s3:\/\/[a-z0-9.-]{3,63}\/(.+\/)$/.exec(storage?.Location ?? "")?.[1];
	if (path === undefined || path.includes("//") || path.startsWith("_") || path.includes("/_"))
		throw invalid(`location ${storage?.Location} is not a folder that Athena reads`);
	if (storage?.InputFormat !== "org.apache.hadoop.hive.ql.io.SymlinkTextInputFormat")
		throw invalid(`unknown input format ${storage?.InputFormat}`);
	if (storage.SerdeInfo?.SerializationLibrary !== "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe")
		throw invalid("unknown serde");
}

/** As many values as the table has keys, each of a form that its key's type has. */
export function checkValues(values: unknown, keys: readonly ColumnInput[]): string[] {
	if (!Array.isArray(values) || values.length !== keys.length)
		throw invalid(`The number of partition keys do not match the number of partition values`);
	keys.forEach(({ Name, Type }, index) => {
		const value = values[index] as string;
		if (typeof value !== "string" || value === "" || value.length > 1024)
			throw invalid(`a value of ${Name} is empty or too long`);
		if (value === "__HIVE_DEFAULT_PARTITION__") return;
		if ((Type === "int" || Type === "bigint") && !/^-?\d+$/.test(value)) throw invalid(`${Name} is ${Type}`);
		if (Type === "date" && !/^\d{4}-\d{2}-\d{2}$/.test(value)) throw invalid(`${Name} is a date`);
	});
	return values as string[];
}
