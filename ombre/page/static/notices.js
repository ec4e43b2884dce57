// Sentences about what went wrong, and what is at work: how far it is, and a button that stops it.
import { fill, onLost, onState, say, texts } from "./line.js";

const notices = document.querySelector("#notices");
const busy = document.querySelector("#busy");
const PATIENCE = 400; // ms for which nothing is said
const MOST = 5; // sentences at a time
const own = new Map(); // what the browser itself is at: {what, done, total, stop}
let jobs = [];
let showing = null;

export function notice(sentence, action = null) {
	const line = document.createElement("p");
	line.append(sentence);
	const button = document.createElement("button");
	button.type = "button";
	button.textContent = action ? action.label : "×";
	if (!action) button.setAttribute("aria-label", texts.close);
	button.addEventListener("click", action ? action.run : () => line.remove());
	line.append(button);
	notices.append(line);
	while (notices.children.length > MOST) notices.firstChild.remove();
}

// Say what the browser is at; null: it is done.
export function report(key, work) {
	if (work) own.set(key, work);
	else own.delete(key);
	show();
}

function sentence(job) {
	const what = fill(texts[`job_${job.kind}`], job);
	return job.waits ? fill(texts.job_waits, { what }) : what;
}

function current() {
	const mine = [...own.values()][0];
	if (!jobs.length) return mine;
	const job = jobs[0];
	const what = mine?.around ? mine.around(sentence(job)) : sentence(job);
	return { what, done: job.done, total: job.total };
}

function show() {
	const work = current();
	if (!work) {
		clearTimeout(showing);
		showing = null;
		busy.hidden = true;
		return;
	}
	busy.querySelector(".what").textContent = work.what;
	const bar = busy.querySelector("progress");
	if (work.total > 1) [bar.max, bar.value] = [work.total, work.done];
	else bar.removeAttribute("value");
	showing ??= setTimeout(() => (busy.hidden = false), PATIENCE);
}

busy.querySelector("button").addEventListener("click", () => {
	[...own.values()].forEach((work) => work.stop?.());
	say({ do: "stop" });
});

onState((state) => {
	jobs = state.jobs;
	state.notices.splice(0).forEach((text) => notice(text));
	show();
});
onLost(() => notice(texts.lost, { label: texts.reload, run: () => location.reload() }));
