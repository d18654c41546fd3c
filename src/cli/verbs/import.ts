import { relative, resolve } from "node:path";
import { importConnections } from "../../config/import-connections.ts";
import { Secret } from "../../core/secret.ts";
import type { Arguments } from "../arguments.ts";
import type { VerbContext, VerbResult } from "../context.ts";
import { prepareStateFolder } from "../project.ts";

/** `headrace import <pipeline.conf>` */
export async function run(context: VerbContext, args: Arguments): Promise<VerbResult> {
	const { output, directory } = context;
	const iniFile = resolve(args.required(0));
	prepareStateFolder(directory);
	const imported = importConnections(directory, iniFile);
	output.redactor.addFrom(
		imported.connections.map(({ secrets }) => Object.values(secrets).map((value) => new Secret(value))),
	);
	const { connections, leftOut, secretFiles, file } = imported;
	const width = Math.max(0, ...connections.map(({ name }) => name.length));
	if (connections.length > 0) output.print(`${file} has now:`);
	for (const { name, type, section } of connections)
		output.print(`   ${name.padEnd(width)}  ${type}, from [${section}]`);
	if (secretFiles.length > 0) output.print(`Secrets are in files that only you can read: ${secretFiles.join(", ")}.`);
	for (const { section, key, why } of leftOut)
		output.note(`! [${section}]${key === undefined ? "" : ` ${key}`} was left out: ${why}`);
	if (connections.length === 0) output.print("No connection was found; nothing was written.");
	else {
		const from = (connections.find(({ type }) => type !== "s3") ?? connections[0]!).name;
		output.print(`Next: a file pipelines/<name>.yaml with \`from: ${from}\`, then \`headrace check <name>\`.`);
		output.print(
			`${relative(process.cwd(), iniFile)} still holds the secrets as plain text: delete it when all is well.`,
		);
	}
	return {
		data: {
			file: connections.length === 0 ? null : file,
			connections: connections.map(({ name, type, section }) => ({ name, type, section })),
			secret_files: secretFiles,
			left_out: leftOut.map(({ section, key, why }) => ({ section, key: key ?? null, why })),
		},
	};
}
