/** The stand-in as a process of its own: prints its address and keys as JSON, and ends with its input. */
import { startS3StandIn } from "./index.ts";

const standIn = await startS3StandIn();
const { endpoint, region, accessKeyId, secretAccessKey, buckets } = standIn;
process.stdout.write(`${JSON.stringify({ endpoint, region, accessKeyId, secretAccessKey, buckets })}\n`);
process.stdin.resume();
process.stdin.once("end", () => void standIn[Symbol.asyncDispose]().then(() => process.exit(0)));
