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

	document.addEventListener("submit", (e) => {
		if (e.defaultPrevented || !e.target.matches("form[data-progress=upload]")) return;
		e.preventDefault();
		upload(e.target);
	});
})();
