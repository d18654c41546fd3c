import { HeadraceError, qualified, type RemoteFiles, type Staging } from "../../core/index.ts";
import { quoteLiteral, quoteOption } from "./sql-text.ts";

export interface CopyRequest {
	/** Quoted. */
	readonly table: string;
	/** Address of the manifest. */
	readonly manifest: string;
	/** Absent: the warehouse's default role. */
	readonly iamRole?: string;
	readonly format: "parquet" | "csv";
	/** Ending of the files, which says how text is compressed: `csv.gz`. */
	readonly extension: string;
	readonly nullText?: string;
	/** The bucket's; COPY of text finds it in another region than the warehouse's. */
	readonly region?: string;
}

/**
 * The COPY of sealed files. Of the options, Parquet knows STATUPDATE and MANIFEST alone, and text has none that changes
 * a value: no EMPTYASNULL, no BLANKSASNULL, no TRUNCATECOLUMNS, no ACCEPTINVCHARS; the first bad row ends it.
 * https://docs.aws.amazon.com/redshift/latest/dg/r_COPY.html
 * https://docs.aws.amazon.com/redshift/latest/dg/copy-usage_notes-copy-from-columnar.html
 */
export function copySql(request: CopyRequest): string {
	const { table, manifest, iamRole, format, extension, nullText, region } = request;
	const lines = [
		`COPY ${table}`,
		`FROM ${quoteOption(manifest)}`,
		iamRole === undefined ? "IAM_ROLE default" : `IAM_ROLE ${quoteOption(iamRole)}`,
	];
	if (format === "parquet") return [...lines, "FORMAT AS PARQUET", "MANIFEST STATUPDATE OFF"].join("\n");
	if (nullText === undefined) throw new HeadraceError("E_INTERNAL", "staged text without what stands for NULL");
	const compression = extension.endsWith(".gz") ? " GZIP" : extension.endsWith(".zst") ? " ZSTD" : "";
	return [
		...lines,
		`FORMAT AS CSV${compression} IGNOREHEADER 1 NULL AS ${quoteLiteral(nullText)}`,
		"DATEFORMAT 'auto' TIMEFORMAT 'auto' ENCODING UTF8 MAXERROR 0",
		`MANIFEST${region === undefined ? "" : ` REGION ${quoteOption(region)}`} COMPUPDATE OFF STATUPDATE OFF`,
	].join("\n");
}

/**
 * Redshift's manifest of files: each must be there, and of the size that was sealed, which Parquet needs to be told.
 * https://docs.aws.amazon.com/redshift/latest/dg/loading-data-files-using-manifest.html
 */
export function copyManifest(remote: RemoteFiles, format: "parquet" | "csv"): string {
	const address = addressOf(remote.staging);
	const entries = remote.files.map(({ path, bytes }) => ({
		url: address.uriOf(path),
		mandatory: true,
		...(format === "parquet" ? { meta: { content_length: bytes } } : {}),
	}));
	return `${JSON.stringify({ entries }, null, "\t")}\n`;
}

/** Beside the files, so that it goes when they go. */
export function manifestPathOf(remote: RemoteFiles): string {
	const path = remote.files[0]!.path;
	return `${path.slice(0, path.lastIndexOf("/") + 1)}copy.manifest`;
}

export function addressOf(staging: Staging): NonNullable<Staging["address"]> {
	const { address } = staging;
	if (address?.scheme === "s3") return address;
	throw new HeadraceError("E_UNSUPPORTED", `Redshift can't read staged files in ${staging.location}`, {
		hint: "Name an s3 connection as `staging:` of the pipeline.",
	});
}

/** @throws E_RECEIPT when other rows came than were sealed */
export function expectRows(loaded: number, remote: RemoteFiles, table: { schema: string; name: string }): void {
	const sealed = remote.files.reduce((sum, { rows }) => sum + rows, 0);
	if (loaded !== sealed)
		throw new HeadraceError(
			"E_RECEIPT",
			`COPY loaded ${loaded} rows for ${qualified(table)}, and ${sealed} were staged`,
			{ table: qualified(table) },
		);
}
