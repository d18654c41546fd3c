/** The stand-in as a process of its own: prints where it is as JSON, and ends with its input. */
import { startSnowflakeStandIn } from "./index.ts";

const standIn = await startSnowflakeStandIn();
const { endpoint, account, user, password, role, warehouse, database } = standIn;
process.stdout.write(`${JSON.stringify({ endpoint, account, user, password, role, warehouse, database })}\n`);
process.stdin.resume();
process.stdin.once("end", () => void standIn[Symbol.asyncDispose]().then(() => process.exit(0)));
