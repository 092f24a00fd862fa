// What htmx does not do: live updates, times, single sending, copying, keys.
"use strict";
(() => {
	const root = document.documentElement;
	root.classList.add("scripted");
	const say = (what) => {
		const at = document.querySelector("[data-announce]");
		if (at) { at.textContent = ""; requestAnimationFrame(() => { at.textContent = what; }); }
	};

	// Times come in UTC and are shown in local time to who wants that.
	const localTimes = (within) => {
		if (root.dataset.times !== "local") return;
		const format = new Intl.DateTimeFormat(root.lang, { dateStyle: "medium", timeStyle: "medium" });
		for (const t of within.querySelectorAll("time[datetime]:not([data-local])")) {
			t.title = t.textContent;
			t.textContent = format.format(new Date(t.dateTime));
			t.dataset.local = "";
			t.dir = root.dir;
		}
	};

	// A form that may be sent once is not sent again by a second click.
	document.addEventListener("submit", (e) => {
		const form = e.target;
		if (!form.matches("[data-once]")) return;
		if (form.dataset.sent) { e.preventDefault(); return; }
		form.dataset.sent = "yes";
		for (const b of form.querySelectorAll("button:not([type=button])")) b.setAttribute("aria-busy", "true");
	});
	addEventListener("pageshow", () => {
		for (const form of document.querySelectorAll("form[data-sent]")) {
			delete form.dataset.sent;
			for (const b of form.querySelectorAll("[aria-busy]")) b.removeAttribute("aria-busy");
		}
	});

	// A form that asks before it is sent.
	document.addEventListener("submit", (e) => {
		const question = e.submitter?.dataset.confirm;
		if (question && !confirm(question)) { e.preventDefault(); e.stopImmediatePropagation(); }
	}, true);

	// Live updates: an event names kinds of streams, and the parts of the page that
	// are made of them are loaded again. Nothing is open while nobody looks.
	let stream, due = new Set(), timer;
	const refresh = (kinds) => {
		for (const part of document.querySelectorAll("[data-live]")) {
			const mine = part.dataset.live.split(" ");
			if (kinds.has("everything") || mine.some((k) => kinds.has(k))) part.dispatchEvent(new CustomEvent("refresh"));
		}
	};
	const changed = (kinds) => {
		kinds.forEach((k) => due.add(k));
		timer ??= setTimeout(() => {
			timer = undefined;
			const all = due;
			due = new Set();
			refresh(all);
		}, 300 + Math.random() * 700);
	};
	const open = () => {
		const from = document.body.dataset.liveFrom;
		if (stream || !from || document.hidden || !document.querySelector("[data-live]")) return;
		stream = new EventSource(from);
		let lost = false;
		stream.onmessage = (e) => changed(e.data.split(" "));
		stream.onerror = () => { lost = true; };
		stream.onopen = () => { root.dataset.live = "yes"; if (lost) { lost = false; changed(["everything"]); } };
	};
	const close = () => { stream?.close(); stream = undefined; };
	document.addEventListener("visibilitychange", () => {
		if (document.hidden) { close(); return; }
		open();
		changed(["everything"]);
	});
	addEventListener("pagehide", close);

	document.addEventListener("htmx:before:request", (e) => e.target.closest?.("[data-live], [aria-live]")?.setAttribute("aria-busy", "true"));
	document.addEventListener("htmx:finally:request", (e) => e.target.closest?.("[aria-busy]")?.removeAttribute("aria-busy"));
	document.addEventListener("htmx:after:swap", () => localTimes(document));

	// Copying what is shown once.
	document.addEventListener("click", (e) => {
		const button = e.target.closest("[data-copies]");
		if (!button) return;
		navigator.clipboard.writeText(document.getElementById(button.dataset.copies).textContent.trim())
			.then(() => say(document.querySelector("[data-announce]").dataset.copied), () => {});
	});

	// Dialogs, menus and keys.
	document.addEventListener("click", (e) => {
		const opener = e.target.closest("[data-opens]");
		if (opener) document.getElementById(opener.dataset.opens).showModal();
		for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(e.target)) menu.open = false;
	});
	let went = 0;
	document.addEventListener("keydown", (e) => {
		if (e.key === "Escape") {
			for (const menu of document.querySelectorAll("details.menu[open]")) { menu.open = false; menu.querySelector("summary").focus(); }
			return;
		}
		if (e.ctrlKey || e.metaKey || e.altKey || e.target.closest("input, select, textarea, [contenteditable], dialog[open]")) return;
		const afterG = Date.now() - went < 1500;
		went = 0;
		switch (e.key) {
		case "?": document.getElementById("keys-help")?.showModal(); break;
		case "g": went = Date.now(); break;
		case "h": if (afterG) location.assign("/console/"); break;
		case "m": if (afterG) document.getElementById("main").focus(); break;
		case "r": changed(["everything"]); say(document.querySelector("[data-announce]").dataset.refreshed); break;
		case "/": { const first = document.querySelector("main form :is(input:not([type=hidden]), select, textarea)"); if (first) { e.preventDefault(); first.focus(); } break; }
		}
	});

	addEventListener("DOMContentLoaded", () => {
		localTimes(document);
		document.querySelector("[data-focus]")?.focus();
		if (document.querySelector("[data-note]")) {
			const here = new URL(location.href);
			here.searchParams.delete("note");
			history.replaceState(history.state, "", here);
		}
		open();
	});
})();
