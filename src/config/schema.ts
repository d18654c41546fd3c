import { z } from "zod";
import { alertsFile } from "./alert-options.ts";
import { REFERENCE_PATTERN } from "./option-kinds.ts";
import { connectionsFile, pipelineOptions } from "./options.ts";

/** A JSON Schema, draft 2020-12. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/**
 * The JSON Schema of a pipeline file, for editors: as it is written, before references are resolved.
 * `headrace schema` prints it.
 */
export function pipelineSchema(): JsonSchema {
	return jsonSchema(pipelineOptions, "Headrace pipeline");
}

/** The JSON Schema of connections.yaml. */
export function connectionsSchema(): JsonSchema {
	return jsonSchema(connectionsFile, "Headrace connections");
}

/** The JSON Schema of alerts.yaml. */
export function alertsSchema(): JsonSchema {
	return jsonSchema(alertsFile, "Headrace alerts");
}

function jsonSchema(options: z.ZodType, title: string): JsonSchema {
	const schema = z.toJSONSchema(options, {
		target: "draft-2020-12",
		io: "input",
		// An option that takes a number or a word can also be written as a reference.
		override: ({ jsonSchema: part }) => {
			// A word can also be written as a reference.
			if (part.enum !== undefined) {
				part.anyOf = [
					{ type: "string", enum: part.enum },
					{ type: "string", pattern: REFERENCE_PATTERN },
				];
				delete part.enum;
				delete part.type;
			}
			// zod bounds every whole number by what a JS number holds; that is no bound of ours.
			if (part.minimum === Number.MIN_SAFE_INTEGER) delete part.minimum;
			if (part.maximum === Number.MAX_SAFE_INTEGER) delete part.maximum;
		},
	});
	return { ...schema, title };
}
