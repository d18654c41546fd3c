// Without `send.ts`, whose network modules a run loads only when it has something to tell.
export { afterFailing, afterTelling, deliveryId, type Happened, noted, type Occurrence, waitingFor } from "./ledger.ts";
export { type AlertItem, type AlertMessage, itemOf, messageText, titleOf } from "./message.ts";
