export { type Clock, SYSTEM_CLOCK } from "./clock.ts";
export { JobQueue, type Work, type WorkEnd } from "./job-queue.ts";
export { type Scheduled, Scheduler } from "./scheduler.ts";
export { type SupervisedState, Supervisor } from "./supervisor.ts";
export { cronTimetable, everyTimetable, nextTimes, type Timetable } from "./timetable.ts";
