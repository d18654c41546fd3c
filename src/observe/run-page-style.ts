/** The look of a run's page: that of `headrace serve`, light, dark and on paper. */
export const RUN_PAGE_STYLE = `
:root {
	color-scheme: light dark;
	--ground: light-dark(#ffffff, #14181d);
	--raised: light-dark(#f6f8f9, #1b2128);
	--line: light-dark(#d5dbe0, #323b45);
	--line-strong: light-dark(#808b95, #77838f);
	--text: light-dark(#1b2227, #e3e8ec);
	--text-quiet: light-dark(#55606a, #a2adb7);
	--accent: light-dark(#0b6e75, #4fc3cb);
	--accent-soft: light-dark(#c6e4e6, #163437);
	--succeeded: light-dark(#1d7f4e, #46b880);
	--failed: light-dark(#c0311a, #ff8369);
	--running: light-dark(#1f62d0, #74a9ff);
	--stopped: light-dark(#8a6100, #dfb04a);
	--idle: light-dark(#68737d, #93a0ab);
	--mark-text: light-dark(#ffffff, #101418);
	--failed-soft: light-dark(#fdeeea, #3a1e19);
	--stopped-soft: light-dark(#fdf4dd, #362b12);
	--mono: ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace;
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1180px; padding: 28px 24px 48px; background: var(--ground); color: var(--text);
	font: 14px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
h1 { margin: 0; font-size: 24px; line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin: 32px 0 10px; font-size: 16px; }
h3 { margin: 16px 0 6px; font-size: 14px; }
p { margin: 6px 0; }
a { color: var(--accent); }
.mono, code, pre { font-family: var(--mono); font-size: 13px; }
.quiet { color: var(--text-quiet); }
.small { font-size: 12px; }
.head { display: flex; flex-wrap: wrap; gap: 6px 14px; align-items: center; }
.state { display: inline-flex; gap: 6px; align-items: center; font-weight: 600; white-space: nowrap; }
.mark { width: 15px; height: 15px; flex: none; fill: currentcolor; }
.mark .sign { fill: none; stroke: var(--mark-text); stroke-width: 1.8; stroke-linecap: round; stroke-linejoin: round; }
.hollow { fill: none; stroke: currentcolor; stroke-width: 1.5; }
.hollow .sign { stroke: currentcolor; }
.succeeded { color: var(--succeeded); }
.failed { color: var(--failed); }
.running { color: var(--running); }
.stopped { color: var(--stopped); }
.idle { color: var(--idle); }
dl { display: flex; flex-wrap: wrap; gap: 10px 32px; margin: 14px 0 0; }
dt { color: var(--text-quiet); font-size: 12px; }
dd { margin: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; }
th, td { padding: 6px 10px 6px 0; border-top: 1px solid var(--line); text-align: left; vertical-align: top; }
thead th { border-top: 0; color: var(--text-quiet); font-weight: 500; font-size: 12px; white-space: nowrap; }
tbody th { font-weight: 500; overflow-wrap: anywhere; min-width: 120px; }
tfoot th, tfoot td { border-top: 2px solid var(--line-strong); font-weight: 600; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.notice { margin: 10px 0; padding: 10px 14px; border-left: 4px solid var(--stopped); background: var(--stopped-soft);
	overflow-wrap: anywhere; }
.problem { margin: 10px 0; padding: 10px 14px; border-left: 4px solid var(--failed); background: var(--failed-soft);
	overflow-wrap: anywhere; break-inside: avoid; }
.problem .code { color: var(--failed); font-weight: 600; }
pre { margin: 0; padding: 12px 14px; border: 1px solid var(--line); border-radius: 6px; background: var(--raised);
	white-space: pre-wrap; overflow-wrap: anywhere; }
ul { margin: 6px 0; padding-left: 18px; }
.timeline th { width: 200px; max-width: 200px; border: 0; padding-block: 3px; text-overflow: ellipsis; overflow: hidden;
	white-space: nowrap; }
.timeline td { border: 0; padding: 3px 0; }
.timeline svg { display: block; width: 100%; height: 18px; overflow: visible; }
.timeline .axis text { fill: var(--text-quiet); font-size: 11px; font-variant-numeric: tabular-nums; }
.timeline .tick { stroke: var(--line); }
.bar { stroke: var(--accent); stroke-width: 1; }
.bar.extract { fill: var(--accent-soft); }
.bar.load { fill: var(--accent); }
.bar.wait { fill: url(#hatch); stroke: var(--stopped); }
.hatch { stroke: var(--stopped); stroke-width: 2; }
.legend { display: flex; gap: 18px; margin-top: 8px; }
.legend span { display: inline-flex; gap: 6px; align-items: center; }
.legend svg { width: 26px; height: 12px; }
.log td { padding: 1px 12px 1px 0; border: 0; font-family: var(--mono); font-size: 12px; }
.log .at { color: var(--text-quiet); white-space: nowrap; }
.log .message { width: 100%; white-space: pre-wrap; overflow-wrap: anywhere; }
footer { margin-top: 40px; padding-top: 10px; border-top: 1px solid var(--line); }
@media print {
	:root { color-scheme: light; }
	body { max-width: none; padding: 0; font-size: 11px; }
	.scroll { overflow: visible; }
	.bar, .mark, .notice, .problem { print-color-adjust: exact; }
	h2 { break-after: avoid; }
	tr { break-inside: avoid; }
}
`;
