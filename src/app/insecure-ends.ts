import type { CheckedPipeline } from "../config/index.ts";

/** TLS that is not verified is shown in every report. */
export function insecureEnds(pipeline: CheckedPipeline): string {
	const mail = pipeline.alerts.flatMap((channel) => {
		if (channel.type !== "email" || channel.smtp.tls === "on" || isLoopback(channel.smtp.host)) return [];
		return [`alerts ${channel.name}: tls ${channel.smtp.tls}`];
	});
	const ends = [pipeline.from, pipeline.to].flatMap((connection) =>
		"tls" in connection && (connection.tls === "off" || connection.tls === "insecure")
			? [`${connection.name}: tls ${connection.tls}`]
			: [],
	);
	return [...ends, ...mail].join(", ");
}

function isLoopback(host: string): boolean {
	return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
}
