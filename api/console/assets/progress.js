// What takes long shows how far it is. Without this script the same forms work,
// and their answer comes when all is done.
"use strict";
(() => {
	const show = (form, part, text) => {
		const box = form.querySelector(".progress");
		box.hidden = false;
		box.querySelector("progress").value = part * 100;
		if (text !== undefined) box.querySelector("[role=status]").textContent = text;
	};
	const size = (bytes) => new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 1 }).format(bytes / 1e6) + " MB";

	// put shows the page that an answer is, without leaving this one.
	const put = (html) => {
		const next = new DOMParser().parseFromString(html, "text/html").querySelector("main");
		if (!next) { location.reload(); return; }
		document.querySelector("main").replaceWith(document.adoptNode(next));
		htmx.process(next);
		(next.querySelector("[data-focus]") ?? next).focus();
		document.dispatchEvent(new CustomEvent("htmx:after:swap"));
	};

	const upload = (form) => {
		const sent = new XMLHttpRequest();
		sent.open("POST", form.action);
		sent.upload.onprogress = (e) => { if (e.lengthComputable) show(form, e.loaded / e.total, `${size(e.loaded)} / ${size(e.total)}`); };
		sent.onload = () => put(sent.responseText);
		sent.onerror = () => form.submit();
		show(form, 0, "");
		sent.send(new FormData(form));
	};

	// tell reads lines: how far it is, and at the end the page with what was found.
	const tell = async (form) => {
		show(form, 0, "");
		const number = new Intl.NumberFormat(document.documentElement.lang);
		try {
			const answer = await fetch(form.dataset.telling, { method: "POST" });
			const lines = answer.body.pipeThrough(new TextDecoderStream()).getReader();
			let rest = "", page;
			for (let part; !(part = await lines.read()).done;) {
				const all = (rest + part.value).split("\n");
				rest = all.pop();
				for (const line of all) {
					const said = JSON.parse(line);
					if (said.page) page = said.page;
					else show(form, said.of ? said.events / said.of : 0, `${number.format(said.events)} / ${number.format(said.of)}`);
				}
			}
			if (!page) throw new Error("cut off");
			put(page);
		} catch {
			location.reload();
		}
	};

	const ways = { upload, telling: tell };
	document.addEventListener("submit", (e) => {
		const way = ways[e.target.dataset.progress];
		if (e.defaultPrevented || !way) return;
		e.preventDefault();
		way(e.target);
	});

	// A slider and a field that stand for the same.
	document.addEventListener("input", (e) => {
		const twin = e.target.dataset.twin;
		if (twin) document.getElementById(twin).value = e.target.value;
	});

	// How long a claim lasts still.
	const two = new Intl.NumberFormat(document.documentElement.lang, { minimumIntegerDigits: 2 });
	const one = new Intl.NumberFormat(document.documentElement.lang);
	const tick = () => {
		for (const at of document.querySelectorAll("[data-until]")) {
			const left = Math.max(0, Math.round((new Date(at.dataset.until) - Date.now()) / 1000));
			const shown = at.querySelector("strong");
			shown.textContent = left ? `${one.format(Math.floor(left / 3600))}:${two.format(Math.floor(left / 60) % 60)}:${two.format(left % 60)}` : at.dataset.over;
			at.querySelector(".muted").textContent = left ? at.dataset.left : "";
			shown.dir = left ? "ltr" : "auto";
			at.classList.toggle("soon", left < 300);
		}
	};
	if (document.querySelector("[data-until]")) { tick(); setInterval(tick, 1000); }
})();
