/** The stand-in as a process of its own: takes where S3 and its backend are as JSON, prints its address, and ends with its input. */
import { type ServerAddress, serverAt } from "../../support/server.ts";
import { type RedshiftStandInOptions, startRedshiftStandIn } from "./index.ts";

interface Given {
	readonly s3: RedshiftStandInOptions["s3"];
	readonly server: ServerAddress;
	readonly database: string;
}

const { s3, server, database } = JSON.parse(process.argv[2]!) as Given;
const standIn = await startRedshiftStandIn({ s3, server: serverAt(server), database });
const { host, port, iamRole } = standIn;
process.stdout.write(`${JSON.stringify({ host, port, iamRole })}\n`);
process.stdin.resume();
process.stdin.once("end", () => void standIn[Symbol.asyncDispose]().then(() => process.exit(0)));
