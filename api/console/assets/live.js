// Live updates: the site tells which kinds of streams changed, and the parts of
// a page that are made of them are loaded again, in place: what somebody
// unfolded, chose, scrolled to or is typing stays as it is.
//
//	site ──▶ the one tab that listens ──▶ all tabs ──▶ their parts
"use strict";
(() => {
	const root = document.documentElement;
	const from = document.body.dataset.liveFrom;
	// How much of the log the page was made of. The first stream tells what came
	// since then: something may be stored while the page is on its way.
	let since = +document.body.dataset.liveSince;
	const parts = () => document.querySelectorAll("[data-live]");
	const notice = (name, shown) => {
		const at = document.querySelector(`[data-notice=${name}]`);
		if (!at || at.hidden !== shown) return;
		at.hidden = !shown;
		if (shown) document.dispatchEvent(new CustomEvent("say", { detail: at.textContent }));
	};

	let due = new Set(), timer, looks = 0;
	const look = (kinds) => {
		looks++;
		for (const part of parts()) {
			const mine = part.dataset.live.split(" ");
			if (kinds.has("everything") || mine.some((k) => kinds.has(k))) part.dispatchEvent(new CustomEvent("refresh"));
		}
	};
	const changed = (kinds, after = 300) => {
		kinds.forEach((k) => due.add(k));
		timer ??= setTimeout(() => {
			timer = undefined;
			const all = due;
			due = new Set();
			look(all);
		}, after * (1 + 2 * Math.random()));
	};

	// A browser has six connections to a site for all of its tabs together. So one
	// tab listens, and tells the others; when it ends, another one takes its place.
	// Nothing is open while nobody looks. What the one told before another tab could
	// hear it, that tab looks for itself.
	const others = new BroadcastChannel("sallyport-live");
	others.onmessage = (e) => changed(e.data);
	const tell = (kinds) => { changed(kinds); others.postMessage(kinds); };
	const listen = (until) => {
		let stream, again, late, lost;
		const begin = () => {
			// A stream that does not go on from where the page is may have missed anything.
			lost = !since;
			stream = new EventSource(since ? `${from}?since=${since}` : from);
			since = 0;
			stream.onmessage = (e) => tell(e.data.split(" "));
			stream.onopen = () => { clearTimeout(late); late = undefined; root.dataset.live = "yes"; if (lost) { lost = false; tell(["everything"]); } };
			stream.onerror = () => {
				lost = true;
				delete root.dataset.live;
				late ??= setTimeout(() => tell(["everything"]), 10_000);
				if (stream.readyState !== EventSource.CLOSED) return;
				// It was refused, and the browser does not come again by itself.
				tell(["everything"]);
				again = setTimeout(begin, 10_000 + Math.random() * 10_000);
			};
		};
		begin();
		until.addEventListener("abort", () => { clearTimeout(again); clearTimeout(late); stream.close(); });
	};
	let turn;
	const open = () => {
		if (turn || !from || document.hidden || !parts().length) return;
		const mine = turn = new AbortController();
		const lead = () => new Promise((leave) => { listen(mine.signal); mine.signal.addEventListener("abort", leave); });
		if (!navigator.locks) { lead(); return; }
		navigator.locks.request("sallyport-live", { ifAvailable: true }, (free) => { if (!free) changed(["everything"]); });
		navigator.locks.request("sallyport-live", { signal: mine.signal }, lead).catch(() => {});
	};
	const close = () => { turn?.abort(); turn = undefined; };
	const back = () => { open(); changed(["everything"]); };
	document.addEventListener("visibilitychange", () => { if (document.hidden) close(); else back(); });
	addEventListener("pagehide", close);
	addEventListener("pageshow", (e) => { if (e.persisted) back(); });
	addEventListener("DOMContentLoaded", open);
	document.addEventListener("look", () => changed(["everything"], 0));

	// A part that cannot be loaded stays, and the page says that it is old. Whoever
	// asked for another part is shown what is wrong instead.
	const failed = (part, status) => {
		if (!part.matches("[data-live]")) {
			if (part.matches("form")) part.submit();
			return;
		}
		notice("ended", status === 401);
		notice("old", status !== 401);
		if (status === 0 || status >= 500) changed(["everything"], 3000);
	};
	document.addEventListener("htmx:response:error", (e) => failed(e.detail.ctx.sourceElement, e.detail.ctx.response.status));
	document.addEventListener("htmx:error", (e) => { if (e.detail.ctx) failed(e.detail.ctx.sourceElement, 0); });
	document.addEventListener("htmx:before:request", (e) => {
		e.detail.ctx.looks = looks;
		e.target.closest?.("[data-live], [aria-live]")?.setAttribute("aria-busy", "true");
	});
	document.addEventListener("htmx:finally:request", (e) => e.target.closest?.("[aria-busy]")?.removeAttribute("aria-busy"));
	document.addEventListener("htmx:after:swap", (e) => {
		const ctx = e.detail?.ctx;
		if (!(ctx?.response?.status < 400)) return;
		notice("old", false);
		notice("ended", false);
		// The part that changed while another was asked for in its place was looked at
		// in vain.
		if (!ctx.sourceElement.matches("[data-live]") && ctx.looks !== looks) changed(["everything"], 0);
		// What was filtered is there still when the page is loaded again.
		if (ctx.sourceElement.matches("form[hx-replace-url]")) history.replaceState(history.state, "", ctx.response.raw.url);
	});
})();
