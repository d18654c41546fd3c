import { Secret } from "../../src/core/index.ts";
import { CHILD_ROWS, FIELDS, openGlueLake, requestOf } from "./lake-glue-loads.ts";

/** One merge; where the stand-ins are is in the variable LAKE. */
interface Where {
	readonly endpoint: string;
	readonly region: string;
	readonly accessKeyId: string;
	readonly secretAccessKey: string;
}
const { s3, glue } = JSON.parse(process.env["LAKE"]!) as { s3: Where & { temporaryDirectory: string }; glue: Where };
const { endpoint, region, temporaryDirectory } = s3;
const keys = { accessKeyId: new Secret(s3.accessKeyId), secretAccessKey: new Secret(s3.secretAccessKey) };
await using destination = openGlueLake(
	{ bucket: "lake", prefix: "lake", pathStyle: true, endpoint, region, ...keys, temporaryDirectory },
	glue,
);
const row = (await destination.takeOver("glue", ["orders"])).get("orders")!;
await destination.load(requestOf(row, "merge", CHILD_ROWS, FIELDS));
