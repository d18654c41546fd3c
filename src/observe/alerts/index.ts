export { afterFailing, afterTelling, type Happened, noted, type Occurrence, waitingFor } from "./ledger.ts";
export { type AlertItem, type AlertMessage, itemOf, messageText, titleOf } from "./message.ts";
export { type SendOptions, sendAlert } from "./send.ts";
