// What htmx does not do: times, single sending, asking first, copying, keys.
"use strict";
(() => {
	const root = document.documentElement;
	root.classList.add("scripted");
	const say = (what) => {
		const at = document.querySelector("[data-announce]");
		if (at) { at.textContent = ""; requestAnimationFrame(() => { at.textContent = what; }); }
	};
	document.addEventListener("say", (e) => say(e.detail));

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
		for (const form of document.querySelectorAll("form[data-sent], form:has([name=sure])")) {
			delete form.dataset.sent;
			form.elements.sure?.remove();
			for (const b of form.querySelectorAll("[aria-busy]")) b.removeAttribute("aria-busy");
		}
	});

	// What is wrong leads to its field.
	document.addEventListener("click", (e) => {
		const to = e.target.closest("[role=alert] a[href^='#']");
		const field = to && document.getElementById(decodeURIComponent(to.hash.slice(1)));
		if (field) { e.preventDefault(); field.focus(); }
	});

	// A form that asks before it is sent. Without this the site asks.
	document.addEventListener("submit", (e) => {
		const form = e.target, button = e.submitter, dialog = document.getElementById("sure");
		if (!button?.dataset.confirm || form.elements.sure) return;
		e.preventDefault();
		e.stopImmediatePropagation();
		dialog.querySelector("[data-question]").textContent = button.dataset.confirm;
		const yes = dialog.querySelector("[value=yes]");
		yes.textContent = button.textContent;
		yes.className = button.matches(".danger") ? "danger" : "";
		dialog.returnValue = "";
		dialog.addEventListener("close", () => {
			if (dialog.returnValue !== "yes") return;
			form.append(Object.assign(document.createElement("input"), { type: "hidden", name: "sure", value: "yes" }));
			form.requestSubmit(button);
		}, { once: true });
		dialog.showModal();
	}, true);

	// What was filtered stays when another language is chosen.
	document.addEventListener("submit", (e) => {
		if (e.target.matches(".choices[action$=choices]") && document.querySelector("[hx-replace-url]")) e.target.elements.back.value = location.pathname + location.search;
	});

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
		case "r": document.dispatchEvent(new CustomEvent("look")); say(document.querySelector("[data-announce]").dataset.refreshed); break;
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
	});
})();
