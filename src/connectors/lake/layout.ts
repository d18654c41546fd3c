import type { TableName } from "../../core/index.ts";
import { pathSegment } from "../../formats/index.ts";

/** Where the lake keeps its own files: commits, streams, and lists of what is current. */
export const CONTROL_FOLDER = "_headrace";

/** The folder of a table: `shop.orders`. A leading underscore of a name is encoded: those names are the lake's own. */
export function tableFolder({ schema, name }: TableName): string {
	const folder = schema === "" ? pathSegment(name) : `${pathSegment(schema)}.${pathSegment(name)}`;
	return folder.replace(/^_/, "%5F");
}

/** The folder of a table's commit files. */
export const commitsFolder = (folder: string) => `${CONTROL_FOLDER}/commits/${folder}/`;

/** The list of a table's live files. */
export const currentPath = (folder: string) => `${CONTROL_FOLDER}/current/${folder}.json`;

/** The list of the files of all tables of a pipeline that follows a log. */
export const pipelinePath = (pipeline: string) => `${CONTROL_FOLDER}/pipelines/${pathSegment(pipeline)}.json`;

/** The folder of a stream's own entries. */
export const streamFolder = (pipeline: string, stream: string) => `${pipelineFolder(pipeline)}${pathSegment(stream)}/`;

export const pipelineFolder = (pipeline: string) => `${CONTROL_FOLDER}/streams/${pathSegment(pipeline)}/`;

/** A number as the entries of a log are named, so that names sort as numbers do. */
export const entryName = (entry: number) => String(entry).padStart(20, "0");
