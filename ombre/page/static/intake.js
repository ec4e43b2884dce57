// How pictures come in: chosen, dropped or pasted.
import { fill, language, live, texts } from "./line.js";
import { notice, report } from "./notices.js";

let queue = Promise.resolve();
let waiting = 0;
let taken = 0;
let round = 0; // everything that was given before a stop is of an earlier one

export function send(files) {
	const mine = round;
	waiting += files.length;
	for (const file of files) {
		queue = queue.then(async () => {
			taken += 1;
			if (mine === round) await sendOne(file, taken, waiting);
			if (taken === waiting) waiting = taken = 0;
		});
	}
}

function sendOne(file, at, total) {
	const several = (what) => (total > 1 ? fill(texts.of_several, { what, at, total }) : what);
	const request = new XMLHttpRequest();
	const stop = () => {
		round += 1;
		request.abort();
	};
	const show = (done) => {
		const percent = file.size ? Math.round((100 * done) / file.size) : 100;
		const what = several(fill(texts.job_send, { name: file.name, percent }));
		report(request, { what, done, total: file.size, around: several, stop });
	};
	return new Promise((resolve) => {
		request.upload.addEventListener("progress", (event) => show(event.loaded));
		request.addEventListener("error", () => notice(fill(texts.failed, { name: file.name })));
		request.addEventListener("loadend", () => {
			report(request, null);
			resolve();
		});
		request.open("POST", `/${language}/upload/${live.state.token}?name=${encodeURIComponent(file.name)}`);
		request.send(file);
		show(0);
	});
}

const upload = document.querySelector("#upload");
const chooser = upload.querySelector("input");
chooser.addEventListener("change", () => {
	send([...chooser.files]);
	chooser.value = "";
});
const over = (event, is) => {
	event.preventDefault();
	upload.classList.toggle("is-over", is);
};
document.addEventListener("dragover", (event) => over(event, true));
document.addEventListener("dragleave", (event) => over(event, false));
document.addEventListener("drop", (event) => {
	over(event, false);
	send([...event.dataTransfer.files]);
});
document.addEventListener("paste", (event) => {
	const files = [...event.clipboardData.files];
	if (files.length) event.preventDefault();
	send(files);
});
