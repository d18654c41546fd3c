export * from "./format.ts";
export { createJsonLog } from "./json-log.ts";
export { errorText, jsonLine, stamped } from "./lines.ts";
export { eventLine, RunLog, type RunLogLine } from "./log.ts";
export { createProgress, type Progress, type ProgressOptions } from "./progress.ts";
export { type ReceiptOptions, receiptLines, stateSign } from "./receipt.ts";
export { Redactor, redactByLook } from "./redact.ts";
export { cut, displayWidth, type Paint, painter, printable, printableLines, type Terminal } from "./terminal.ts";
export { type TextColumn, textTable } from "./text-table.ts";
