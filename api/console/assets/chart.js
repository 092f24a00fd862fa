// Draws the charts of a page: figures with data-chart, each of which has a table
// that says the same.
"use strict";
(() => {
	const root = document.documentElement;
	const number = new Intl.NumberFormat(root.lang, { maximumFractionDigits: 1 });
	const zone = root.dataset.times === "local" ? undefined : "UTC";

	// moments are the labels of an axis of times: a day where days are drawn, else an hour.
	const moments = (step) => {
		const as = step >= 86400 ? { month: "short", day: "numeric" } : { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
		const format = new Intl.DateTimeFormat(root.lang, { ...as, timeZone: zone });
		return (_, at) => at.map((t) => format.format(new Date(t * 1000)));
	};

	// lasting is the unit in which seconds are told, and how they are written in it.
	const lasting = (most) => {
		const [unit, of] = most < 120 ? ["second", 1] : most < 7200 ? ["minute", 60] : most < 172800 ? ["hour", 3600] : ["day", 86400];
		const format = new Intl.NumberFormat(root.lang, { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: 1 });
		return [of, (n) => format.format(n)];
	};

	// stacked lays values upon each other; what is drawn first is the whole.
	const stacked = (lines) => {
		const sums = lines[0].values.map(() => 0);
		return lines.map((l) => l.values.map((v, i) => (sums[i] += v ?? 0)));
	};

	const draw = (figure) => {
		const given = JSON.parse(figure.dataset.chart), at = figure.querySelector("[data-plot]");
		if (!at || given.times.length < 2) return;
		at.replaceChildren();
		// What a variable stands for here and now: in light or in dark, at this size.
		const is = (property, name) => {
			at.style[property] = `var(${name})`;
			const value = getComputedStyle(at)[property];
			at.style[property] = "";
			return value;
		};
		const colour = (name) => is("color", name), em = parseFloat(getComputedStyle(root).fontSize);
		const surface = colour("--surface"), step = given.times[1] - given.times[0];
		const [of, told] = given.bars ? [1, (n) => number.format(n)] : lasting(Math.max(...given.lines.flatMap((l) => l.values)));
		const values = given.bars ? stacked(given.lines) : given.lines.map((l) => l.values.map((v) => v === null ? null : v / of));
		const order = given.lines.map((_, i) => i);
		if (given.bars) order.reverse();
		const series = order.map((i) => {
			const line = given.lines[i], ink = colour("--chart-" + line.key);
			return given.bars
				? { label: line.label, fill: ink, stroke: surface, width: 1, paths: uPlot.paths.bars({ size: [0.8, 2.5 * em] }), points: { show: false } }
				: { label: line.label, stroke: ink, width: 2, dash: i ? [6, 4] : undefined, spanGaps: true, points: { show: true, size: 7, fill: i ? surface : ink, stroke: ink } };
		});
		const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: 0.75 * em + "px " + is("fontFamily", "--sans") };
		new uPlot({
			width: Math.max(200, at.clientWidth), height: 15 * em, legend: { show: false }, cursor: { show: false },
			tzDate: (t) => uPlot.tzDate(new Date(t * 1000), zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone),
			scales: { x: { range: (_, least, most) => [least - step / 2, most + step / 2] }, y: { range: (_, least, most) => [0, Math.max(1, most * 1.1 || 1)] } },
			axes: [
				{ ...axis, grid: { show: false }, values: moments(step), space: 4 * em, size: 1.75 * em },
				{ ...axis, values: (_, v) => v.map(told), size: 4 * em, incrs: given.bars ? [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 1e6] : undefined },
			],
			series: [{}, ...series],
		}, [given.times, ...order.map((i) => values[i])], at);
	};

	const all = () => { for (const figure of document.querySelectorAll("[data-chart]")) draw(figure); };
	addEventListener("DOMContentLoaded", all);
	document.addEventListener("htmx:after:swap", all);
	let soon;
	addEventListener("resize", () => { clearTimeout(soon); soon = setTimeout(all, 150); });
	for (const look of ["print", "(prefers-color-scheme: dark)"]) matchMedia(look).addEventListener("change", all);
})();
