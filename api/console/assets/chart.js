// Draws the charts of a page: figures with data-chart, each of which has a table
// that says the same.
"use strict";
(() => {
	const root = document.documentElement;
	const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();
	const colours = {
		pending: "--warn", exported: "--chart-exported", delivered: "--chart-delivered", processing: "--info",
		answered: "--good", failed: "--bad", cancelled: "--edge", crossed: "--info",
	};
	const number = new Intl.NumberFormat(root.lang, { maximumFractionDigits: 1 });
	const zone = root.dataset.times === "local" ? undefined : "UTC";

	// moments are the labels of an axis of times: a day where days are drawn, else an hour.
	const moments = (step) => {
		const as = step >= 86400 ? { month: "short", day: "numeric" } : { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
		const format = new Intl.DateTimeFormat(root.lang, { ...as, timeZone: zone });
		return (_, at) => at.map((t) => format.format(new Date(t * 1000)));
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
		const step = given.times[1] - given.times[0];
		const values = given.bars ? stacked(given.lines) : given.lines.map((l) => l.values);
		const order = given.lines.map((_, i) => i);
		if (given.bars) order.reverse();
		const series = order.map((i) => {
			const is = colour(colours[given.lines[i].key]);
			return given.bars
				? { label: given.lines[i].label, fill: is, stroke: is, width: 0, paths: uPlot.paths.bars({ size: [0.8, 40] }), points: { show: false } }
				: { label: given.lines[i].label, stroke: is, width: 2, spanGaps: true, points: { show: true, size: 6, fill: is, stroke: is } };
		});
		const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px " + colour("--sans") };
		new uPlot({
			width: Math.max(200, at.clientWidth), height: 240, legend: { show: false }, cursor: { show: false },
			tzDate: (t) => uPlot.tzDate(new Date(t * 1000), zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone),
			scales: { x: { range: (_, least, most) => [least - step / 2, most + step / 2] }, y: { range: (_, least, most) => [0, Math.max(1, most * 1.1 || 1)] } },
			axes: [{ ...axis, values: moments(step), space: 60 }, { ...axis, values: (_, v) => v.map((n) => number.format(n)), size: 56, incrs: given.bars ? [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 1e6] : undefined }],
			series: [{}, ...series],
		}, [given.times, ...order.map((i) => values[i])], at);
	};

	const all = () => { for (const figure of document.querySelectorAll("[data-chart]")) draw(figure); };
	addEventListener("DOMContentLoaded", all);
	document.addEventListener("htmx:after:swap", all);
	let soon;
	addEventListener("resize", () => { clearTimeout(soon); soon = setTimeout(all, 150); });
	matchMedia("(prefers-color-scheme: dark)").addEventListener("change", all);
})();
