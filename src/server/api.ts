/**
 * Every request and answer of the HTTP API, as types. The page imports this file only; the schemas behind them check
 * requests and make `/api/openapi.json`. Names as in receipts: snake_case; times are ISO 8601 in UTC; null where there
 * is nothing.
 *
 * The page has addresses of its own, `/runs/…`, `/pipelines/shop/tables/prod.orders`: whatever is not under `/api`, not
 * one of the server's own and neither `/assets/…` nor `/icon.svg` answers with index.html.
 */
import type { z } from "zod";
import type * as access from "./schemas/access.ts";
import type * as events from "./schemas/events.ts";
import type * as pipelines from "./schemas/pipelines.ts";
import type * as receipts from "./schemas/receipts.ts";
import type * as runs from "./schemas/runs.ts";
import type * as tables from "./schemas/tables.ts";

// Receipts
export type RunState = z.infer<typeof receipts.runState>;
export type TableState = z.infer<typeof receipts.tableState>;
export type Interval = z.infer<typeof receipts.interval>;
export type ReceiptError = z.infer<typeof receipts.receiptError>;
export type TableReceipt = z.infer<typeof receipts.tableReceipt>;
export type RunReceipt = z.infer<typeof receipts.runReceipt>;
export type SchemaChange = z.infer<typeof receipts.schemaChange>;

// Pipelines
export type Problem = z.infer<typeof pipelines.problem>;
/** The body of every answer whose status is 400 or more. */
export type Failure = z.infer<typeof pipelines.failure>;
export type Trigger = z.infer<typeof pipelines.trigger>;
export type RunSquare = z.infer<typeof pipelines.runSquare>;
export type Job = z.infer<typeof pipelines.job>;
export type Freshness = z.infer<typeof pipelines.freshness>;
export type Schedule = z.infer<typeof pipelines.schedule>;
export type Pause = z.infer<typeof pipelines.pause>;
/** `GET /api/pipelines` */
export interface PipelineList {
	readonly pipelines: readonly PipelineSummary[];
}
export type PipelineSummary = z.infer<typeof pipelines.pipelineSummary>;
/** `GET /api/pipelines/{pipeline}` */
export type PipelineDetail = z.infer<typeof pipelines.pipelineDetail>;
/** `GET /api/pipelines/{pipeline}/grid?runs=30` */
export type Grid = z.infer<typeof pipelines.grid>;
export type GridCell = z.infer<typeof pipelines.gridCell>;
/** `GET /api/pipelines/{pipeline}/calendar?from=2026-01-01&to=2026-02-01`; without them the last months (or days, of short intervals) */
export type Calendar = z.infer<typeof pipelines.calendar>;
export type CalendarDay = z.infer<typeof pipelines.calendarDay>;

// Runs
/** `GET /api/runs?pipeline=&state=&limit=&before=` */
export type RunList = z.infer<typeof runs.runList>;
export type RunListItem = z.infer<typeof runs.runListItem>;
/** `GET /api/runs/{run}` */
export type RunDetail = z.infer<typeof runs.runDetail>;
/** `GET /api/runs/{run}/report` sends a file of HTML. `GET /api/runs/{run}/settings`: */
export type SettingsDiff = z.infer<typeof runs.settingsDiff>;
export type StageBar = z.infer<typeof runs.stageBar>;
export type LogLevel = z.infer<typeof runs.logLevel>;
/** The data of each event `line` of `GET /api/runs/{run}/log/stream`; its id is `line`; `?after=` as of the page. An event `end` is the last. */
export type LogLine = z.infer<typeof runs.logLine>;
/** `GET /api/runs/{run}/log?after=&level=&table=&search=&limit=`; `?download=1` gives text/plain. */
export type LogPage = z.infer<typeof runs.logPage>;

// Work
/** `POST /api/pipelines/{pipeline}/run` */
export type RunRequest = z.infer<typeof runs.runRequest>;
/** `POST /api/pipelines/{pipeline}/backfill` and `…/backfill/preview` */
export type BackfillRequest = z.infer<typeof runs.backfillRequest>;
export type BackfillPreview = z.infer<typeof runs.backfillPreview>;
/**
 * `POST /api/pipelines/{pipeline}/run`, `…/backfill`, `POST /api/runs/{run}/retry`, `POST /api/runs/{run}/cancel`,
 * `GET /api/jobs/{job}`, `POST /api/jobs/{job}/cancel`
 */
export type JobAnswer = z.infer<typeof runs.jobAnswer>;
/** `GET /api/jobs`: waiting, at work, and the last that ended */
export type JobList = z.infer<typeof runs.jobList>;
/** `POST /api/pipelines/{pipeline}/pause`; `…/unpause` takes `{}`. Both answer with PipelineSummary. */
export type PauseRequest = z.infer<typeof access.pauseRequest>;

// Tables, change capture, connections
/** `GET /api/pipelines/{pipeline}/tables/{table}`: the table's name percent-encoded */
export type TablePage = z.infer<typeof tables.tablePage>;
export type TableColumn = z.infer<typeof tables.tableColumn>;
/** `POST /api/pipelines/{pipeline}/tables/{table}/sample`, for admins of a server that was started with `--sample-rows` */
export type TableSample = z.infer<typeof tables.tableSample>;
/** `GET /api/pipelines/{pipeline}/lineage` */
export type Lineage = z.infer<typeof tables.lineage>;
export type LineageColumn = Lineage["tables"][number]["columns"][number];
/** `GET /api/pipelines/{pipeline}/changes` */
export type ChangeCapture = z.infer<typeof tables.changeCapture>;
/** `GET /api/connections` */
export type ConnectionList = z.infer<typeof tables.connectionList>;
export type ConnectionItem = z.infer<typeof tables.connectionItem>;
/** `POST /api/connections/{connection}/test`, `POST /api/pipelines/{pipeline}/check` */
export type CheckAnswer = z.infer<typeof tables.checkAnswer>;
export type Finding = z.infer<typeof tables.finding>;
/** `POST /api/pipelines/{pipeline}/plan` with a RunRequest */
export type PlanAnswer = z.infer<typeof tables.planAnswer>;

// Access
export type Role = z.infer<typeof access.role>;
/**
 * `GET /api/session`, `POST /api/login`: 401 when nobody is logged in. The link that is printed at the start ends with
 * `#token=…`: the page takes it from there, logs in with it, and wipes it from the address. An API token logs in too.
 * `POST /api/logout` answers 204. Requests that change anything need no header of their own: the browser sends Origin.
 */
export type Session = z.infer<typeof access.session>;
export type LoginRequest = z.infer<typeof access.loginRequest>;
/** `GET /api/tokens` */
export type TokenList = z.infer<typeof access.tokenList>;
export type TokenItem = z.infer<typeof access.tokenItem>;
/** `POST /api/tokens`; `DELETE /api/tokens/{token}` answers with TokenItem. */
export type TokenRequest = z.infer<typeof access.tokenRequest>;
export type TokenMade = z.infer<typeof access.tokenMade>;
/** `GET /api/audit?limit=&before=` */
export type AuditList = z.infer<typeof access.auditList>;
export type AuditEntry = z.infer<typeof access.auditEntry>;
/** `GET /api/health` */
export type Health = z.infer<typeof access.health>;

/** `GET /api/events`, by SSE with Last-Event-ID */
export type ServerEvent = z.infer<typeof events.serverEvent>;
