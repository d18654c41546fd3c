import { existsSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { setFlagsFromString } from "node:v8";
import { version } from "../../app/version.ts";
import { parseDuration } from "../../config/index.ts";
import { EXIT, HeadraceError } from "../../core/errors.ts";
import type { RunEvent } from "../../core/events.ts";
import { createJsonLog, eventLine, plural, stamped } from "../../observe/index.ts";
import type { Arguments } from "../arguments.ts";
import type { VerbContext, VerbResult } from "../context.ts";
import type { Output } from "../output.ts";
import { usageError } from "../output.ts";
import { prepareStateFolder } from "../project.ts";

const PORT_DEFAULT = 8080;
const HOST_DEFAULT = "127.0.0.1";
const DRAIN_DEFAULT = "10s";
/** A clean stop is given up after 30 s: what is left of them is for stopping what did not end by itself. */
const DRAIN_MS_MAX = 20_000;
/** Less would take a slow disk, or a pause of the process, for its end. */
const LEASE_MS_MIN = 3_000;

/** `headrace serve [dir]` */
export async function run(context: VerbContext, args: Arguments): Promise<VerbResult> {
	const { output, env, signal } = context;
	const directory = folderOf(context, args.optional(0));
	const options = readOptions(args);
	const { parsePublicUrl } = await import("../../server/addresses.ts");
	const publicText = args.text("publicUrl");
	const publicUrl = publicText === undefined ? null : parsePublicUrl(publicText);
	prepareStateFolder(directory);
	const { openService } = await import("../../app/service/service.ts");
	const { startServer } = await import("../../server/server.ts");
	const log = runLog(output);
	const sinks: ((pipeline: string, event: RunEvent) => void)[] = [log];
	await using service = await openService({
		directory,
		env,
		redactor: output.redactor,
		signal,
		...(options.jobsMax === undefined ? {} : { jobsMax: options.jobsMax }),
		...(options.leaseMs === undefined ? {} : { leaseMs: options.leaseMs }),
		onNotice: (message) => output.error(stampedLine(output, message)),
		onRunEvent: (pipeline, event) => {
			for (const sink of sinks) sink(pipeline, event);
		},
	});
	await using server = await startServer({
		service,
		...options,
		publicUrl,
		version: version(),
		onError: (error) => output.errorLine(error),
	});
	sinks.push(server.onRunEvent);
	// As for a run: a young generation that grows only holds memory.
	setFlagsFromString("--semi-space-growth-factor=1");
	await service.start();
	const count = service.catalog.entries.size;
	output.note(stampedLine(output, `${service.project}: ${plural(count, "pipeline")}, ${server.address}`));
	if (count === 0) output.note(stampedLine(output, "no pipelines here; start with `headrace init`"));
	const { address, link } = server;
	// Not through the redaction: whoever starts it is to read it.
	if (link !== null || output.json)
		await output.printItem({ address, link }, () => `Log in once by this link, within a day:\n\n    ${link}\n`);
	await ended(AbortSignal.any([signal, service.lost]));
	if (signal.aborted) {
		output.note(stampedLine(output, `stopping: runs may end by themselves for ${options.drainMs / 1000} s`));
		await service.drain(options.drainMs);
		// The signal's own code takes its place.
		return { data: { address: server.address }, exit: EXIT.failed };
	}
	throw service.lost.reason;
}

function folderOf({ directory }: VerbContext, given: string | undefined): string {
	const folder = given === undefined ? directory : resolve(directory, given);
	if (!existsSync(folder) || !statSync(folder).isDirectory())
		throw new HeadraceError("E_FILE_NOT_FOUND", `there is no folder ${folder}`, { hint: "Check the folder." });
	return folder;
}

function readOptions(args: Arguments) {
	const port = args.text("port") === undefined ? PORT_DEFAULT : Number(args.text("port"));
	if (!Number.isInteger(port) || port < 0 || port > 65_535) throw usageError("--port takes a number from 0 to 65535");
	const certificate = args.text("tlsCert");
	const key = args.text("tlsKey");
	if ((certificate === undefined) !== (key === undefined)) throw usageError("--tls-cert and --tls-key belong together");
	const drainMs = parseDuration(args.text("drain") ?? DRAIN_DEFAULT);
	if (drainMs > DRAIN_MS_MAX) throw usageError(`--drain takes at most ${DRAIN_MS_MAX / 1000}s`);
	const jobsMax = args.count("jobs", "--jobs");
	const lease = args.text("lease");
	const leaseMs = lease === undefined ? undefined : parseDuration(lease);
	if (leaseMs !== undefined && leaseMs < LEASE_MS_MIN)
		throw usageError(`--lease takes at least ${LEASE_MS_MIN / 1000}s`);
	return {
		host: args.text("host") ?? HOST_DEFAULT,
		port,
		allowedHosts: args.list("allowHost").map((name) => name.toLowerCase()),
		tls: certificate === undefined || key === undefined ? null : { certificate, key },
		drainMs,
		sampleRows: args.flag("sampleRows"),
		...(jobsMax === undefined ? {} : { jobsMax }),
		...(leaseMs === undefined ? {} : { leaseMs }),
	};
}

/** What runs do, a line an event on stderr. */
function runLog(output: Output): (pipeline: string, event: RunEvent) => void {
	if (output.logFormat === "json") {
		const { redactor, stderr: terminal, quiet } = output;
		const log = createJsonLog({ terminal, redact: redactor.redact, quiet });
		return (_pipeline, event) => log.onEvent(event);
	}
	return (pipeline, event) => {
		const told = eventLine(event);
		if (told === null) return;
		const { level, task } = told.line;
		const error = event.type === "run-finished" ? event.run.error : undefined;
		const message = `${told.line.message}${error === undefined ? "" : ` with ${error.code}: ${error.message}`}`;
		const line = stampedLine(output, `${pipeline}  ${task === null ? "" : `${task}  `}${message}`);
		if (level === "error" || level === "warn") output.error(line);
		else output.note(line);
	};
}

function stampedLine(output: Output, line: string): string {
	return output.logFormat === "json" ? line : stamped(line, output.stderr);
}

async function ended(signal: AbortSignal): Promise<void> {
	if (signal.aborted) return;
	await new Promise<void>((resolve) => {
		signal.addEventListener("abort", () => resolve(), { once: true });
	});
}
